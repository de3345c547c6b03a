import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { SecretStore } from '../../../daemon/secrets/secret-store.ts';
import type { Resources } from '../../../policies/resources.ts';

type SecretResources = Pick<Resources, 'secrets' | 'variables' | 'credentials'>;
const NOTHING: SecretResources = { secrets: new Map(), variables: new Map(), credentials: new Map() };

function setUp(t: ExecutionContext, resources: Partial<SecretResources> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'pyrepl3-secrets-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'token');
  let nowMs = 0;
  const store = new SecretStore({
    resources: { ...NOTHING, secrets: new Map([['token', { file }]]), ...resources },
    environment: { TOKEN: 'from the environment\n', REGION: 'eu', EMPTY: '' },
    clock: { monotonicMs: () => nowMs },
  });
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { folder, file, store, pass };
}

test('a secret is what its file holds, without the newline at its end', (t) => {
  for (const [content, expected] of [
    ['hunter2', 'hunter2'],
    ['hunter2\n', 'hunter2'],
    ['hunter2\r\n', 'hunter2'],
    ['two\nlines\n\n', 'two\nlines\n'],
    ['\n', null],
    ['', null],
  ] as const) {
    const { file, store } = setUp(t);
    writeFileSync(file, content);
    t.is(store.secret('token'), expected);
  }
});

test('a secret that is no text is kept byte for byte', (t) => {
  const { file, store } = setUp(t);
  const bytes = Buffer.from([0, 255, 254, 10, 128]);
  writeFileSync(file, bytes);
  t.deepEqual(store.secretBytes('token'), bytes);
});

test('a secret that was replaced is the new one after half a minute, and as soon as the policy changes', (t) => {
  const { file, store, pass } = setUp(t);
  writeFileSync(file, 'old');
  t.is(store.secret('token'), 'old');
  writeFileSync(file, 'new');
  pass(29_999);
  t.is(store.secret('token'), 'old');
  pass(1);
  t.is(store.secret('token'), 'new');
  writeFileSync(file, 'newest');
  store.replace({ ...NOTHING, secrets: new Map([['token', { file }]]) });
  t.is(store.secret('token'), 'newest');
  store.replace(NOTHING);
  t.is(store.secret('token'), null);
});

test('a secret has 64 KiB at most', (t) => {
  const { file, store, pass } = setUp(t);
  writeFileSync(file, 'x'.repeat(65_536));
  t.is(store.secret('token')?.length, 65_536);
  writeFileSync(file, 'x'.repeat(65_537));
  pass(30_000);
  t.is(store.secret('token'), null);
});

test('what is no file, or not there, is no secret, and holds nobody up; a link to a file is followed', (t) => {
  const { folder, file, store } = setUp(t);
  t.is(store.secret('token'), null);
  const resources = (path: string): SecretResources => ({ ...NOTHING, secrets: new Map([['token', { file: path }]]) });
  mkdirSync(join(folder, 'directory'));
  store.replace(resources(join(folder, 'directory')));
  t.is(store.secret('token'), null);
  t.is(spawnSync('mkfifo', [join(folder, 'pipe')]).status, 0);
  store.replace(resources(join(folder, 'pipe')));
  t.is(store.secret('token'), null);
  writeFileSync(file, 'hunter2');
  symlinkSync('token', join(folder, 'link'));
  store.replace(resources(join(folder, 'link')));
  t.is(store.secret('token'), 'hunter2');
});

test('secrets and variables may come from the environment; only names of the policy do', (t) => {
  const { store } = setUp(t, {
    secrets: new Map([['token', { env: 'TOKEN' }]]),
    variables: new Map<string, { value: string } | { env: string }>([
      ['region', { env: 'REGION' }],
      ['stage', { value: 'test' }],
      ['empty', { env: 'EMPTY' }],
      ['unset', { env: 'NOT_SET' }],
    ]),
  });
  t.is(store.secret('token'), 'from the environment');
  t.deepEqual(
    ['region', 'stage', 'empty', 'unset', 'REGION', 'constructor', '__proto__'].map((name) => store.variable(name)),
    ['eu', 'test', '', null, null, null, null],
  );
  t.is(store.secret('TOKEN'), null);
  t.is(store.secret('__proto__'), null);
});

test('a credential is the header with its prefix, and names what to redact', (t) => {
  const spec = { host: 'api.example.com', header: 'authorization', secret: 'token', prefix: 'Bearer ' };
  const credentials = new Map([
    ['api', spec],
    ['broken', { ...spec, secret: 'gone' }],
  ]);
  const { file, store } = setUp(t, { credentials });
  writeFileSync(file, 'hunter2\n');
  t.deepEqual(store.credential('api'), {
    host: 'api.example.com',
    header: 'authorization',
    value: 'Bearer hunter2',
    secret: { name: 'token', value: 'hunter2' },
  });
  t.is(store.credential('broken'), null);
  t.is(store.credential('token'), null);
});
