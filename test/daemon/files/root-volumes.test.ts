import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { Fault } from '../../../daemon/fault.ts';
import { FileRoots } from '../../../daemon/files/file-roots.ts';
import { fileTree } from './_file-tree.ts';

for (const [what, pathIn] of [
  ['is the state directory', (base: string) => join(base, 'state')],
  ['lies in the state directory', (base: string) => join(base, 'state/audit')],
  ['holds the state directory', (base: string) => base],
  ['is the root of everything', () => '/'],
  ['is a link to the state directory', (base: string) => join(base, 'link')],
  ['goes through a link into the state directory', (base: string) => join(base, 'link/audit')],
  ['goes back up into the state directory', (base: string) => join(base, 'data/../state')],
  ['holds a policy folder that is not there yet', (base: string) => join(base, 'etc')],
] as const) {
  test(`G13: a root that ${what} is refused by name`, (t) => {
    const { base, state } = fileTree(t);
    mkdirSync(join(state, 'audit'));
    mkdirSync(join(base, 'etc'));
    symlinkSync(state, join(base, 'link'));
    const error = t.throws(
      () =>
        new FileRoots({
          roots: new Map([['stolen', { kind: 'path', path: pathIn(base) }]]),
          privateFolder: join(state, 'workspaces'),
          forbidden: [state, join(base, 'etc/pyrepl3/policies')],
        }),
      { instanceOf: Fault, code: 'UNAVAILABLE' },
    );
    t.regex(error?.message ?? '', /The root "stolen".*daemon's own.*Name another folder/);
  });
}

for (const [what, path, why] of [
  ['is not there', 'none', /cannot be opened \(ENOENT\)/],
  ['is a file', 'file', /is not a folder/],
] as const) {
  test(`a root that ${what} is refused with what to do`, (t) => {
    const { base, state } = fileTree(t);
    writeFileSync(join(base, 'file'), '');
    const roots = new Map([['data', { kind: 'path' as const, path: join(base, path) }]]);
    const make = () => new FileRoots({ roots, privateFolder: join(state, 'workspaces'), forbidden: [state] });
    t.regex(t.throws(make, { instanceOf: Fault })?.message ?? '', why);
  });
}

test('G07: a view of the kernel is no root', (t) => {
  const { files } = fileTree(t);
  for (const path of ['/proc', '/proc/self', '/sys/kernel']) {
    const replace = () => files.replace(new Map([['kernel', { kind: 'path', path }]]));
    t.regex(t.throws(replace, { instanceOf: Fault })?.message ?? '', /view of the kernel|cannot be opened/);
  }
});
