import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { listLogFiles, logFileAt } from '../../../daemon/audit/log-folder.ts';
import { readFolder, verifyFiles } from '../../../daemon/audit/verify.ts';
import { auditFolder, closed, decision, kindsOf, linesOf, openLog, recordsOf, verifyFolder } from './audit-folder.ts';

const FIRST = 'audit-000001.jsonl';

/** A log as a daemon that was killed leaves it: head.json knows of the first records, the last ones were only written. */
async function killedLog(t: ExecutionContext): Promise<{ folder: string; file: string; seq: number }> {
  const folder = auditFolder(t);
  const first = openLog(t, folder);
  first.append('capability.decision', decision);
  await first.close();
  const head = readFileSync(join(folder, 'head.json'));
  const second = openLog(t, folder);
  second.append('session.closed', { sessionId: 'ses_2', reason: 'é' });
  second.append('capability.decision', decision);
  const file = join(folder, FIRST);
  const text = readFileSync(file);
  await second.close();
  writeFileSync(file, text);
  writeFileSync(join(folder, 'head.json'), head);
  return { folder, file, seq: recordsOf(folder).length };
}

const tornFiles = (folder: string): string[] => readdirSync(folder).filter((name) => name.endsWith('.torn'));

const tails: readonly [title: string, tail: Buffer][] = [
  ['a line without its end', Buffer.from('{"at":"19')],
  ['a line cut inside a character', Buffer.from('{"at":"é').subarray(0, -1)],
  ['a block of zeros', Buffer.alloc(4096)],
  ['the beginning of a line and zeros', Buffer.concat([Buffer.from('{"at":'), Buffer.alloc(100_000)])],
  ['zeros and the rest of a line', Buffer.concat([Buffer.alloc(512), Buffer.from('"kind":"x"}\n')])],
];
for (const [title, tail] of tails) {
  test(`J06: ${title} at the end is moved aside, said, and nothing else is lost`, async (t) => {
    const { folder, file, seq } = await killedLog(t);
    const lines = linesOf(folder);
    appendFileSync(file, tail);
    await openLog(t, folder).close();
    t.deepEqual(linesOf(folder).slice(0, seq), lines);
    const recovered = recordsOf(folder)[seq];
    t.like(recovered, { kind: 'audit.recovered', fields: { atSeq: seq + 1, bytes: tail.length } });
    const [torn = ''] = tornFiles(folder);
    t.deepEqual(readFileSync(join(folder, torn)), tail);
    t.like(await verifyFolder(folder), { ok: true });
  });
}

test('J06: a whole record that lacks its line end only stays a record', async (t) => {
  const { folder, file, seq } = await killedLog(t);
  truncateSync(file, readFileSync(file).length - 1);
  await openLog(t, folder).close();
  t.deepEqual(tornFiles(folder), []);
  t.deepEqual(kindsOf(folder).slice(seq - 1), ['capability.decision', 'audit.recovered', 'audit.head']);
  t.like(await verifyFolder(folder), { ok: true });
});

test('J06: a log killed at any byte of its last records goes on with every record that was whole', async (t) => {
  const { folder, file } = await killedLog(t);
  const bytes = readFileSync(file);
  const head = readFileSync(join(folder, 'head.json'));
  const signed = JSON.parse(head.toString()).seq;
  const from = bytes.toString().split('\n').slice(0, signed).join('\n').length;
  for (let end = bytes.length; end > Buffer.byteLength(bytes.toString().slice(0, from)); end -= 29) {
    writeFileSync(file, bytes.subarray(0, end));
    writeFileSync(join(folder, 'head.json'), head);
    const whole = bytes.subarray(0, end).toString('latin1').split('\n').length - 1;
    await openLog(t, folder).close();
    const lines = linesOf(folder);
    t.deepEqual(lines.slice(0, whole), bytes.toString().split('\n').slice(0, whole));
    t.like(await verifyFolder(folder), { ok: true });
  }
});

test('J06: a file that was only begun when the daemon died is used', async (t) => {
  const folder = auditFolder(t);
  await openLog(t, folder).close();
  for (const content of ['', '{"at":"1970']) {
    writeFileSync(logFileAt(folder, 2).path, content);
    const log = openLog(t, folder);
    log.append('capability.decision', decision);
    await log.close();
    t.like(await verifyFolder(folder), { ok: true });
    t.is(listLogFiles(folder).length, 2);
    rmSync(logFileAt(folder, 2).path);
    const first = readFileSync(join(folder, FIRST), 'utf8').trimEnd().split('\n');
    // As it was before the second file: the newer head.json goes with that.
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    t.is(first.length, 2);
    await openLog(t, folder).close();
  }
});

const edits: readonly [title: string, edit: (folder: string, file: string) => void, seq: number | null][] = [
  ['edited', (_, file) => writeFileSync(file, readFileSync(file, 'utf8').replace('"kv"', '"fs"')), 2],
  [
    'cut at a line below what head.json says',
    (_, file) => writeFileSync(file, `${readFileSync(file, 'utf8').split('\n')[0]}\n`),
    2,
  ],
  ['cut in a line below what head.json says', (_, file) => truncateSync(file, readFileSync(file).length - 900), null],
  ['emptied', (_, file) => truncateSync(file), 1],
  ['deleted', (_, file) => rmSync(file), 1],
  ['left without its head.json', (folder) => rmSync(join(folder, 'head.json')), null],
  ['given another head.json', (folder) => writeFileSync(join(folder, 'head.json'), '{}\n'), null],
  ['written to by hand', (_, file) => appendFileSync(file, '{"note":"by hand"}\n'), 6],
];
for (const [title, edit, seq] of edits) {
  test(`a log that was ${title} is not gone on with: a new file says so, and verify reports it`, async (t) => {
    const { folder, file } = await killedLog(t);
    edit(folder, file);
    const names = readdirSync(folder);
    const before = names.includes(FIRST) ? readFileSync(file) : null;
    const said: string[] = [];
    const log = openLog(t, folder, { log: (line) => said.push(line) });
    log.append('session.closed', closed);
    await log.close();
    if (before !== null) t.deepEqual(readFileSync(file), before, 'what was found is left as it is');
    const fresh = readFileSync(listLogFiles(folder).at(-1)?.path ?? '', 'utf8').split('\n');
    const broken = JSON.parse(fresh[0] ?? '');
    t.like(broken, { kind: 'audit.broken', fields: { code: 'AUDIT_BROKEN' } });
    if (seq !== null) t.is(broken.fields.seq, seq);
    t.regex(said[0] ?? '', /was changed while no daemon ran/);
    const { ok, problems } = await verifyFolder(folder);
    t.false(ok);
    t.true(problems.length > 0);

    const path = listLogFiles(folder).at(-1)?.path ?? '';
    const after = await verifyFiles({ ...readFolder(folder), files: [path], first: broken.seq });
    t.like(after, { ok: true }, 'what came after can be verified on its own');
    const again = openLog(t, folder);
    again.append('session.closed', closed);
    await again.close();
    t.is(kindsOf(folder).filter((kind) => kind === 'audit.broken').length, 1, 'and it is said once');
  });
}
