/**
 * Entry of a process that starts CPython and hands over its state, for the daemon to keep: a line with the name of the file, then
 * what is to be in it, on the descriptor that the daemon gave it. Nobody's code runs here.
 */
import { writeSync } from 'node:fs';
import { makeSnapshot } from './snapshot.ts';
import { sealSnapshot, snapshotFileName } from './snapshot-file.ts';

const OUTPUT = 3;

const bytes = Buffer.concat([Buffer.from(`${snapshotFileName()}\n`), sealSnapshot(await makeSnapshot())]);
for (let at = 0; at < bytes.length; ) at += writeSync(OUTPUT, bytes, at);
process.kill(process.pid, 'SIGKILL');
