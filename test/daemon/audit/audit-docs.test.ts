import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { type Field, RECORD_KINDS } from '../../../daemon/audit/audit-records.ts';
import { listLogFiles } from '../../../daemon/audit/log-folder.ts';
import { auditFolder, decision, openLog } from './audit-folder.ts';

const page = readFileSync(fileURLToPath(import.meta.resolve('../../../docs/AUDIT.md')), 'utf8');

test('AUDIT.md lists exactly the kinds of records, each with its fields', (t) => {
  const [, section = ''] = page.split('\n## Kinds of records\n');
  const rows = section
    .split('\n## ')[0]
    ?.split('\n')
    .filter((line) => line.startsWith('| `'));
  const expected = Object.entries(RECORD_KINDS).map(([kind, { about, fields }]) => {
    const names = Object.entries<Field<unknown>>(fields).map(
      ([name, { optional }]) => `\`${name}\`${optional ? '?' : ''}`,
    );
    return `| \`${kind}\` | ${names.join(', ')} | ${about} |`;
  });
  t.deepEqual(rows, expected);
});

test('the verifier that AUDIT.md prints finds a log whole, and a changed or cut one broken', async (t) => {
  const folder = auditFolder(t);
  const log = openLog(t, folder, { rotateBytes: 4000 });
  for (let count = 0; count < 20; count++) log.append('capability.decision', { ...decision, args: ['é\u{1f600}'] });
  await log.close();
  const [, program = ''] = /\n```js\n([\s\S]*?)\n```/.exec(page) ?? [];
  const file = `${folder}.mjs`;
  writeFileSync(file, program);
  const files = listLogFiles(folder).map(({ path }) => path);
  const run = () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [file, join(folder, 'public-key.pem'), join(folder, 'head.json'), ...files],
      { encoding: 'utf8' },
    );
    t.is(stderr, '');
    return { status, stdout };
  };
  t.deepEqual(run(), { status: 0, stdout: `whole: ${log.lastSeq} records\n` });
  const last = files.at(-1) ?? '';
  const text = readFileSync(last, 'utf8');
  writeFileSync(last, text.replace(/[^\n]*\n$/, ''));
  t.deepEqual(run(), {
    status: 1,
    stdout: `BROKEN at record ${log.lastSeq}: the log was cut, or is not the one of head.json\n`,
  });
  writeFileSync(last, text.replace('ses_1', 'ses_2'));
  t.regex(run().stdout, /^BROKEN at record \d+: it was changed\n$/);
});
