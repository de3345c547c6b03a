/** I04: another user of the same machine. */
import { spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import anyTest, { type TestFn } from 'ava';
import { sharedDaemon } from '../harness/shared-daemon.ts';

const test = anyTest as TestFn;
const shared = sharedDaemon(test);
const AS_NOBODY = `
  const { connect } = require('node:net');
  process.setgroups([]);
  process.setgid(65534);
  process.setuid(65534);
  for (const path of process.argv.slice(1))
    connect(path).on('connect', () => console.log('connected')).on('error', ({ code }) => console.log(code));
`;

test.serial('I04: another user of the machine reaches neither socket', async (t) => {
  const { clientSocket, adminSocket, stateDir } = shared().daemon;
  for (const path of [stateDir, clientSocket, adminSocket]) t.is(statSync(path).mode & 0o077, 0, path);
  // Only root can become somebody else and try.
  if (process.getuid?.() !== 0) return;
  const child = spawn(process.execPath, ['-e', AS_NOBODY, clientSocket, adminSocket], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.is(await text(child.stdout), 'EACCES\nEACCES\n');
});
