import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { parseConfig, UsageError } from '../../daemon/config.ts';

test('the command line is parsed into a configuration', (t) => {
  t.like(parseConfig(['serve', '--state-dir', 'd']), {
    stateDir: 'd',
    cacheDir: null,
    clientCeiling: null,
    policiesDir: null,
    capabilitiesDir: null,
    readyJson: false,
    ephemeral: false,
    drainMs: 10_000,
    resonate: null,
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
      '--ephemeral',
      '--drain-ms',
      '0',
    ]),
    {
      clientCeiling: 'sandbox',
      policiesDir: 'p',
      untilStdinCloses: true,
      readyJson: true,
      ephemeral: true,
      drainMs: 0,
    },
  );
});

const serveOn = (...args: string[]) => parseConfig(['serve', '--state-dir', 'd', '--resonate', ...args]).resonate;

test('a Resonate server and what is said about it', (t) => {
  t.like(serveOn('http://localhost:8001'), {
    url: 'http://localhost:8001/',
    token: null,
    group: 'pyrepl3',
    leaseMs: 15_000,
  });
  t.not(serveOn('http://localhost')?.name, serveOn('http://localhost')?.name, 'a name of each process');
  t.like(serveOn('https://r.example', '--group', 'g', '--name', 'n', '--lease-ms', '3000'), {
    group: 'g',
    name: 'n',
    leaseMs: 3000,
  });
});

test('the secret of a Resonate server is a token over HTTP, and the password of a database', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pyrepl3-config-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'secret');
  writeFileSync(file, 'p@ss\n');
  t.like(serveOn('http://r.example', '--resonate-secret-file', file), { token: 'p@ss' });
  t.like(serveOn('postgres://me@r.example/db', '--resonate-secret-file', file), {
    url: 'postgres://me:p%40ss@r.example/db',
    token: null,
  });
  writeFileSync(file, '');
  t.throws(() => serveOn('http://r.example', '--resonate-secret-file', file), { message: /is empty/ });
  t.throws(() => serveOn('http://r.example', '--resonate-secret-file', join(folder, 'none')), { message: /ENOENT/ });
});

for (const args of [
  [],
  ['serve'],
  ['serve', '--state-dir', ''],
  ['other', '--state-dir', 'd'],
  ['serve', 'again', '--state-dir', 'd'],
  ['serve', '--state-dir', 'd', '--unknown'],
  ['serve', '--state-dir', 'd', '--drain-ms', '-1'],
  ['serve', '--state-dir', 'd', '--drain-ms', '3600001'],
  ['serve', '--state-dir', 'd', '--drain-ms', 'soon'],
  ['serve', '--state-dir', 'd', '--resonate', 'localhost:8001'],
  ['serve', '--state-dir', 'd', '--resonate', 'http://localhost', '--ephemeral'],
  ['serve', '--state-dir', 'd', '--resonate', 'http://localhost', '--lease-ms', '10'],
  ['serve', '--state-dir', 'd', '--group', 'g'],
]) {
  test(`refuses the command line ${JSON.stringify(args)}`, (t) => {
    t.throws(() => parseConfig(args), { instanceOf: UsageError });
  });
}
