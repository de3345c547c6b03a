import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { importViolations } from './import-law.ts';
import { root, sourceFiles } from './repo-files.ts';

const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
};
const installed = Object.keys(dependencies);

test('no file imports across a trust zone except where the import law lets it', (t) => {
  t.deepEqual(
    sourceFiles.flatMap((file) => importViolations(file, installed)),
    [],
  );
});

const forbidden: [path: string, code: string][] = [
  ['client/client.ts', `import { x } from '../daemon/fault.ts';`],
  ['client/cli/main.ts', `const x = await import('../../daemon/main.ts');`],
  ['client/client.ts', `import type { Level } from '../policies/policy.ts';`],
  ['policies/parse.ts', `import { readFileSync } from 'node:fs';`],
  ['policies/parse.ts', `export * from '../daemon/limits.ts';`],
  ['sandbox/host.ts', `import type { Policy } from '../policies/policy.ts';`],
  ['sandbox/host.ts', `import ivm from 'isolated-vm';`],
  ['sandbox/host.ts', `import { WebSocket } from 'ws';`],
  ['daemon/session/session.ts', `import ivm from 'isolated-vm';`],
  ['daemon/session/session.ts', `import { runInNewContext } from 'node:vm';`],
  ['daemon/session/session.ts', `import { host } from '../../sandbox/host.ts';`],
  ['daemon/session/session.ts', `import { connect } from '../../client/client.ts';`],
  ['daemon/session/session.ts', `import test from 'ava';`],
  ['daemon/session/session.ts', `import { Resonate } from '@resonatehq/sdk/async';`],
];
for (const [path, code] of forbidden) {
  test(`the import law forbids ${path} to say ${code}`, (t) => {
    t.is(importViolations({ path, text: code }, installed).length, 1);
  });
}

test('the import law allows the protocols, the policies, and the isolate in its one file', (t) => {
  const allowed: [path: string, code: string][] = [
    ['daemon/transport/router.ts', `import { x } from '../../client/protocol.ts';`],
    ['daemon/hosts/spawn.ts', `import type { x } from '../../sandbox/protocol.ts';`],
    ['daemon/capabilities/gate.ts', `import { x } from '../../policies/evaluate.ts';`],
    ['sandbox/isolate.ts', `import ivm from 'isolated-vm';`],
    ['daemon/durability/resonate.ts', `import { Resonate } from '@resonatehq/sdk/async';`],
    ['client/client.ts', `import { WebSocket } from 'ws'; import { x } from './protocol.ts';`],
  ];
  t.deepEqual(
    allowed.flatMap(([path, text]) => importViolations({ path, text }, installed)),
    [],
  );
});
