import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { parseConfig, UsageError } from '../../daemon/config.ts';
import { Fault } from '../../daemon/fault.ts';
import { loadPolicy } from '../../daemon/policy-files.ts';

test('the command line is parsed into a configuration', (t) => {
  t.like(parseConfig(['serve', '--state-dir', 'd']), {
    stateDir: 'd',
    clientCeiling: 'trusted',
    policiesDir: null,
    readyJson: false,
  });
  t.like(
    parseConfig([
      'serve',
      '--state-dir=d',
      '--client-ceiling',
      'sandbox',
      '--policies',
      'p',
      '--until-stdin-closes',
      '--ready-json',
    ]),
    {
      clientCeiling: 'sandbox',
      policiesDir: 'p',
      untilStdinCloses: true,
      readyJson: true,
    },
  );
});

for (const args of [
  [],
  ['serve'],
  ['serve', '--state-dir', ''],
  ['other', '--state-dir', 'd'],
  ['serve', 'again', '--state-dir', 'd'],
  ['serve', '--state-dir', 'd', '--client-ceiling', 'root'],
  ['serve', '--state-dir', 'd', '--unknown'],
  ['serve', '--state-dir', 'd', '--client-ceiling', 'Trusted'],
]) {
  test(`refuses the command line ${JSON.stringify(args)}`, (t) => {
    t.throws(() => parseConfig(args), { instanceOf: UsageError });
  });
}

test('F12: a policy that is missing, incomplete or malformed is refused as a whole', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pyrepl3-policy-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const refused = (path: string) => t.throws(() => loadPolicy(path), { instanceOf: Fault });
  t.is(refused(join(folder, 'none'))?.code, 'UNAVAILABLE');
  t.is(refused(folder)?.code, 'UNAVAILABLE');
  writeFileSync(join(folder, 'sandbox.yaml'), 'level: [');
  t.regex(refused(folder)?.message ?? '', /sandbox\.yaml/);
  t.is(loadPolicy(fileURLToPath(new URL('../../policies/levels', import.meta.url))).levels.size, 5);
});
