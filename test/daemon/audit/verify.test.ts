import { generateKeyPairSync } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import type { AuditRecord } from '../../../client/protocol.ts';
import { AuditLog } from '../../../daemon/audit/audit-log.ts';
import { sealRecord, ZERO_HASH } from '../../../daemon/audit/audit-record.ts';
import { listLogFiles } from '../../../daemon/audit/log-folder.ts';
import { readFolder, verifyFiles } from '../../../daemon/audit/verify.ts';
import { auditFolder, closed, decision, openLog, recordsOf, verifyFolder } from './audit-folder.ts';

/** The lines of a log with their ends, file by file. */
type Files = readonly (readonly string[])[];

/** A log of random records, closed in good order, and a place for changed copies of it. */
async function randomLog(
  t: ExecutionContext,
  rotateBytes: number,
): Promise<{ folder: string; files: Files; copy: string }> {
  const folder = auditFolder(t);
  const log = AuditLog.open(folder, () => 0, { rotateBytes });
  const reasons = fc.sample(fc.string({ unit: 'grapheme', maxLength: 40 }), 30);
  for (const [index, reason] of reasons.entries()) {
    if (index % 3 === 0) log.append('capability.decision', { ...decision, args: [reason] });
    else log.note('session.closed', { sessionId: `ses_${index}`, reason });
  }
  await log.close();
  const files = listLogFiles(folder).map(({ path }) => readFileSync(path, 'utf8').split(/(?<=\n)/));
  const copy = `${folder}-copy`;
  mkdirSync(copy);
  for (const name of ['public-key.pem', 'head.json']) copyFileSync(join(folder, name), join(copy, name));
  return { folder, files, copy };
}

/** Puts other files into the copy, and verifies it. */
function verifyChanged(copy: string, files: readonly (Buffer | string)[]) {
  for (const { path } of listLogFiles(copy)) rmSync(path);
  for (const [index, content] of files.entries()) {
    writeFileSync(join(copy, `audit-${String(index + 1).padStart(6, '0')}.jsonl`), content);
  }
  return verifyFolder(copy);
}

const textsOf = (files: Files): string[] => files.map((lines) => lines.join(''));
const recordsIn = (files: Files): AuditRecord[] => files.flat().map((line) => JSON.parse(line));

/** Cuts a list of lines into files as the original has them; what is more goes to the last. */
function asFiles(lines: readonly string[], like: Files): string[] {
  let at = 0;
  return like.map((original, index) => {
    const end = index === like.length - 1 ? lines.length : at + original.length;
    const text = lines.slice(at, end).join('');
    at = end;
    return text;
  });
}

for (const [title, rotateBytes] of [
  ['one file', 1e9],
  ['several files', 3000],
] as const) {
  test(`J03: in a log of ${title} any one byte changed fails with the number of its record`, async (t) => {
    const { files, copy } = await randomLog(t, rotateBytes);
    t.like(await verifyChanged(copy, textsOf(files)), { ok: true, problems: [] });
    const flat = files.flat().map((line) => Buffer.from(line));
    const total = flat.reduce((sum, line) => sum + line.length, 0);
    const change = fc.tuple(fc.nat(total - 1), fc.integer({ min: 1, max: 255 }), fc.constantFrom(null, 0x0a, 0x20));
    const property = fc.asyncProperty(change, async ([position, flip, value]) => {
      const bytes = Buffer.concat(flat);
      const old = bytes[position] ?? 0;
      const after = value ?? old ^ flip;
      fc.pre(after !== old);
      const seq = bytes.subarray(0, position).toString('latin1').split('\n').length;
      bytes[position] = after;
      let at = 0;
      const changed = textsOf(files).map((text) => {
        const length = Buffer.byteLength(text);
        at += length;
        return bytes.subarray(at - length, at);
      });
      const { ok, problems } = await verifyChanged(copy, changed);
      return !ok && problems[0]?.seq === seq;
    });
    await t.notThrowsAsync(() => fc.assert(property, { numRuns: 300 }));
  });

  test(`J03: in a log of ${title} any line moved, removed, copied or put in fails with the right number`, async (t) => {
    const { files, copy } = await randomLog(t, rotateBytes);
    const lines = files.flat();
    const last = lines.length - 1;
    const act = fc.constantFrom('move', 'remove', 'copy', 'garbage', 'forged');
    const property = fc.asyncProperty(act, fc.nat(last), fc.nat(last), async (name, from, to) => {
      const changed = [...lines];
      let seq = to + 1;
      if (name === 'move') {
        fc.pre(from !== to);
        changed.splice(to, 0, ...changed.splice(from, 1));
        seq = Math.min(from, to) + 1;
      } else if (name === 'remove') {
        changed.splice(to, 1);
      } else if (name === 'copy') {
        changed.splice(to, 0, lines[from] ?? '');
        seq = Math.min(from, to) + 1;
      } else if (name === 'garbage') {
        changed.splice(to, 0, '{"at":"1970-01-01T00:00:00.000Z"}\n');
      } else {
        const prev = to === 0 ? ZERO_HASH : JSON.parse(lines[to - 1] ?? '').hash;
        const forged = { at: '1970-01-01T00:00:00.000Z', kind: 'session.closed', fieldsJson: '{}' };
        changed.splice(to, 0, `${sealRecord({ ...forged, seq: to + 1, prev }).line}\n`);
      }
      const { ok, problems } = await verifyChanged(copy, asFiles(changed, files));
      return !ok && problems[0]?.seq === seq;
    });
    await t.notThrowsAsync(() => fc.assert(property, { numRuns: 300 }));
  });

  test(`J03: in a log of ${title} a tail cut anywhere, also exactly after a line, fails with the first number that is gone`, async (t) => {
    const { files, copy } = await randomLog(t, rotateBytes);
    const flat = files.flat();
    const cut = fc.tuple(fc.nat(flat.length - 1), fc.double({ min: 0, max: 0.999, noNaN: true }), fc.boolean());
    const property = fc.asyncProperty(cut, async ([index, share, atLine]) => {
      const line = Buffer.from(flat[index] ?? '');
      const part = line.subarray(0, atLine ? 0 : Math.floor(share * line.length));
      const kept: Buffer[] = [];
      let left = index;
      for (const lines of files) {
        const whole = lines.slice(0, left);
        kept.push(Buffer.concat([Buffer.from(whole.join('')), left < lines.length ? part : Buffer.alloc(0)]));
        if (left < lines.length) break;
        left -= lines.length;
      }
      const { ok, problems } = await verifyChanged(copy, kept);
      return !ok && problems[0]?.seq === index + 1;
    });
    await t.notThrowsAsync(() => fc.assert(property, { numRuns: 200 }));
  });

  test(`J04: a log of ${title} that was recomputed as a whole without the key fails at the next signed head`, async (t) => {
    const { files, copy } = await randomLog(t, rotateBytes);
    const records = recordsIn(files);
    const property = fc.asyncProperty(fc.nat(records.length - 1), fc.boolean(), async (edited, refresh) => {
      let prev = ZERO_HASH;
      const forged = records.map(({ seq, at, kind, fields }, index) => {
        const isHead = kind === 'audit.head';
        const changed =
          index === edited && !isHead ? { forged: true } : refresh && isHead ? { ...fields, hash: prev } : fields;
        const kindNow = index === edited && isHead ? 'audit.queried' : kind;
        const canonical = JSON.stringify(changed, Object.keys(changed).sort());
        const sealed = sealRecord({ seq, at, kind: kindNow, fieldsJson: canonical, prev });
        prev = sealed.hash;
        return `${sealed.line}\n`;
      });
      fc.pre(forged.join('') !== files.flat().join(''));
      const { ok, problems } = await verifyChanged(copy, asFiles(forged, files));
      const head = records.find(({ kind, seq }) => kind === 'audit.head' && seq > edited + 1)?.seq ?? records.length;
      const expected = records[edited]?.kind === 'audit.head' || head > edited ? head : edited + 1;
      return !ok && problems.some(({ seq }) => seq === expected) && (problems[0]?.seq ?? 0) > edited;
    });
    await t.notThrowsAsync(() => fc.assert(property, { numRuns: 100 }));
  });
}

test('J04: a head signed with any other key does not count, nor does a head of the log as a head.json', async (t) => {
  const { folder, files, copy } = await randomLog(t, 3000);
  const { publicKey } = generateKeyPairSync('ed25519');
  const other = { ...readFolder(folder), publicKeys: [publicKey] };
  const { ok, problems } = await verifyFiles(other);
  t.false(ok);
  t.regex(problems[0]?.what ?? '', /which was not given/);
  const head = recordsIn(files).find(({ kind }) => kind === 'audit.head');
  const { seq, hash, keyId, signature } = head?.fields ?? {};
  writeFileSync(join(copy, 'head.json'), `${JSON.stringify({ at: head?.at, hash, keyId, seq, signature })}\n`);
  const rewound = await verifyChanged(copy, textsOf(files).slice(0, 1));
  t.deepEqual(
    rewound.problems.map(({ file, what }) => [file, what]),
    [['head.json', 'head.json is of no use: its signature is not the key’s']],
  );
});

test('a head.json that was changed anywhere or taken away is a problem', async (t) => {
  const { folder } = await randomLog(t, 1e9);
  const file = join(folder, 'head.json');
  const text = readFileSync(file);
  const property = fc.asyncProperty(fc.nat(text.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
    const changed = Buffer.from(text);
    changed[at] = (changed[at] ?? 0) ^ flip;
    writeFileSync(file, changed);
    return !(await verifyFolder(folder)).ok;
  });
  await t.notThrowsAsync(() => fc.assert(property, { numRuns: 100 }));
  rmSync(file);
  t.false((await verifyFolder(folder)).ok);
  writeFileSync(file, text);
  t.true((await verifyFolder(folder)).ok);
});

test('J13: a line that says the same in other bytes fails, also with a hash of its own', async (t) => {
  const { files, copy } = await randomLog(t, 1e9);
  const lines = files.flat();
  const at = '1970-01-01T00:00:00.000Z';
  const prev = JSON.parse(lines.at(-1) ?? '').hash;
  const seq = lines.length + 1;
  const spellings = [
    '{"b":1,"a":2}',
    '{"a": 2,"b":1}',
    '{"a":2.0,"b":1}',
    '{"a":-0}',
    '{"a":"\\u00e9"}',
    '{"a":1,"a":1}',
    '{"a":1e2}',
  ];
  for (const fieldsJson of spellings) {
    const { line } = sealRecord({ seq, at, kind: 'session.closed', fieldsJson, prev });
    const { problems } = await verifyChanged(copy, [`${lines.join('')}${line}\n`]);
    t.deepEqual(
      problems.map((problem) => [problem.seq, problem.what]),
      [[seq, 'the line is not canonical JSON']],
      fieldsJson,
    );
  }
  const { line } = sealRecord({ seq, at, kind: 'session.closed', fieldsJson: '{"a":"\u00e9"}', prev });
  for (const other of [line.normalize('NFD'), `\ufeff${line}`, `${line} `, `${line}\r`]) {
    t.false((await verifyChanged(copy, [`${lines.join('')}${other}\n`])).ok, JSON.stringify(other));
  }
});

test('J13: no two records have the same bytes under the hash, however their parts are cut', (t) => {
  const of = (kind: string, fieldsJson: string, at = 'a') =>
    sealRecord({ seq: 1, at, kind, fieldsJson, prev: ZERO_HASH }).hash;
  const hashes = [
    of('ab', '{}'),
    of('a', '{"b":1}'),
    of('a', '{}', 'ab'),
    of('a"', '{}'),
    of('a', '{"a":"1"}'),
    of('a', '{"a":1}'),
  ];
  t.is(new Set(hashes).size, hashes.length);
});

test('older files that were archived are no problem once the first number is named, and one without it', async (t) => {
  const { folder } = await randomLog(t, 3000);
  const [oldest] = listLogFiles(folder);
  rmSync(oldest?.path ?? '');
  const first = recordsOf(folder)[0]?.seq ?? 0;
  const options = readFolder(folder);
  t.like(await verifyFiles({ ...options, first }), { ok: true, firstSeq: first });
  const { problems } = await verifyFiles(options);
  t.deepEqual(
    problems.map(({ seq, what }) => [seq, what]),
    [[1, `records 1 to ${first - 1} are missing before record ${first}`]],
  );
});

test('a copy of head.json kept elsewhere finds that the log, head.json and all, is an older state of it', async (t) => {
  const folder = auditFolder(t);
  const first = openLog(t, folder);
  await first.close();
  const older = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))] as const);
  const second = openLog(t, folder);
  second.append('session.closed', closed);
  await second.close();
  const anchor = { source: 'anchor.json', text: readFileSync(join(folder, 'head.json'), 'utf8') };
  for (const [name, content] of older) writeFileSync(join(folder, name), content);
  const options = readFolder(folder);
  t.true((await verifyFiles(options)).ok);
  const { problems } = await verifyFiles({ ...options, heads: [...options.heads, anchor] });
  t.deepEqual(
    problems.map(({ seq }) => seq),
    [3],
  );
});

test('after a change of keys both are needed, and the log says when it was', async (t) => {
  const folder = auditFolder(t);
  await openLog(t, folder).close();
  renameSync(join(folder, 'signing-key.pem'), `${folder}.old`);
  await openLog(t, folder).close();
  t.like(await verifyFolder(folder), { ok: true });
  const [, change] = recordsOf(folder).filter(({ kind }) => kind === 'audit.key');
  const previous = readdirSync(folder).find((name) => name.startsWith('public-key-'));
  t.is(previous, `public-key-${change?.fields['previousKeyId']}.pem`);
  rmSync(join(folder, previous ?? ''));
  t.false((await verifyFolder(folder)).ok);
});
