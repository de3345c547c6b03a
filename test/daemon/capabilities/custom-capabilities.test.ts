import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import * as v from 'valibot';
import { Capability } from '../../../daemon/capabilities/capability.ts';
import { loadCustomCapabilities } from '../../../daemon/capabilities/custom-capabilities.ts';
import { Fault } from '../../../daemon/fault.ts';
import { root } from '../../tidy/repo-files.ts';
import { allowed, fakeContext } from './_call-context.ts';

const extending = readFileSync(join(root, 'docs/EXTENDING.md'), 'utf8');
const [today = '', todayTest = ''] = [...extending.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(
  (match) => match[1] ?? '',
);
const isTaken = (name: string): boolean => ['fetch', 'decrypt'].includes(name);

/** A folder of modules, as an administrator would keep it. */
function folderOf(t: ExecutionContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'pyrepl3-custom-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content, { mode: 0o644 });
  return folder;
}
const named = (name: string, changes = ''): string =>
  today.replace("name = 'today';", `name = '${name}';`).replace('export const', `${changes}\nexport const`);

test('the capability of docs/EXTENDING.md loads, does what the page says, and takes about 30 lines', async (t) => {
  const [effect, ...more] = await loadCustomCapabilities(folderOf(t, { 'today.js': today }), isTaken);
  t.deepEqual(more, []);
  t.true(today.split('\n').filter((line) => line.trim() !== '').length <= 32);
  const { capability, fields } = effect as NonNullable<typeof effect>;
  t.true(capability instanceof Capability);
  t.like(capability, { name: 'today', globals: ['today'], kind: 'effect' });
  const constraints: Readonly<Record<string, unknown>> = { timeZones: ['UTC', 'Nowhere'] };
  t.is(capability.refuse(['UTC'], constraints), null);
  t.regex(capability.refuse(['Asia/Tokyo'], constraints) ?? '', /not granted/);
  t.regex(String(await capability.invoke(allowed('today', ['UTC'], constraints), fakeContext())), /^\d{4}-\d\d-\d\d$/);
  const failing = capability.invoke(allowed('today', ['Nowhere'], constraints), fakeContext());
  t.is((await t.throwsAsync(failing, { instanceOf: Fault })).code, 'EFFECT_FAILED');
  t.true(v.is((fields['timeZones'] as { schema: v.GenericSchema }).schema, ['UTC']));
  t.is(fields['timeZones']?.fallback, undefined);
});

test('the test of docs/EXTENDING.md passes', (t) => {
  const folder = folderOf(t, { 'today.js': today, 'today.test.js': todayTest, 'package.json': '{"type":"module"}' });
  // As npm links a package that is worked on.
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules/pyrepl3'));
  symlinkSync(join(root, 'node_modules/valibot'), join(folder, 'node_modules/valibot'));
  const env = { PATH: process.env['PATH'] ?? '' };
  const { status, stdout } = spawnSync(process.execPath, ['--test', 'today.test.js'], {
    cwd: folder,
    env,
    encoding: 'utf8',
  });
  t.is(status, 0, stdout);
  t.regex(stdout, /pass 2/);
});

test('modules are loaded in the order of their names; tests, declarations and other files are left alone', async (t) => {
  const files = {
    'b.mjs': named('second'),
    'a.ts': named('first').replace('class Today extends', 'const typed: string = "";\nclass Today extends'),
    'c.js': today.replace('export const capability = new Today();', 'export { Today as capability };'),
    'x.test.js': 'throw new Error("a test");',
    'x.d.ts': 'throw new Error("a declaration");',
    'README.md': 'not a module',
  };
  const effects = await loadCustomCapabilities(folderOf(t, files), isTaken);
  t.deepEqual(
    effects.map(({ capability }) => capability.name),
    ['first', 'second', 'today'],
  );
  t.deepEqual(await loadCustomCapabilities(folderOf(t, {}), isTaken), []);
});

test('a field with a default need not be stated in a grant', async (t) => {
  const module = today.replace(
    'v.array(v.string()) }',
    "v.optional(v.array(v.string()), ['UTC']), n: v.optional(v.number()) }",
  );
  const [effect] = await loadCustomCapabilities(folderOf(t, { 'today.js': module }), isTaken);
  t.deepEqual(effect?.fields['timeZones']?.fallback, ['UTC'] as never);
});

for (const [what, module, why] of [
  ['is not JavaScript', 'export const = 1;', /SyntaxError/],
  ['throws', 'throw new TypeError("oh");', /TypeError: oh/],
  ['imports what is not there', 'import "./gone.js";', /Cannot find module/],
  ['exports nothing of that name', 'export const other = 1;', /has to export "capability"/],
  ['exports a plain object', 'export const capability = { name: "today" };', /a class that extends Capability/],
  [
    'exports a class that cannot be made',
    today
      .replace('Capability {', 'Capability { constructor() { super(); throw new Error("no"); }')
      .replace('export const capability = new Today();', 'export { Today as capability };'),
    /cannot be made: no/,
  ],
  ['has no summary', today.replace("summary = 'The date of today in a time zone.';", ''), /the capability's summary/],
  ['has a name in capitals', named('Today'), /the capability's name: must be lower case/],
  ['has the name of a capability', named('fetch'), /cannot be called fetch: it is the name of a capability/],
  ['has the name of a global of a capability', named('decrypt'), /it is the name of a capability/],
  ['has the name of a global', named('escape'), /it is the name of a global/],
  ['has the name of a word', named('await'), /it is a word/],
  ['has no schema of arguments', today.replace(/args = .*;/, 'args = [];'), /the capability's args/],
  [
    'has constraints that let anything in',
    today.replace('v.strictObject({ timeZones', 'v.object({ timeZones'),
    /made with v\.strictObject/,
  ],
  [
    'has other globals',
    named('today', 'Object.defineProperty(Today.prototype, "globals", { value: ["today", "fetch"] });'),
    /one global/,
  ],
] as const) {
  test(`a module that ${what} is refused with its name and the problem`, async (t) => {
    const folder = folderOf(t, { 'bad.js': module });
    const fault = await t.throwsAsync(loadCustomCapabilities(folder, isTaken), { instanceOf: Fault });
    t.is(fault.code, 'UNAVAILABLE');
    t.true(fault.message.includes('bad.js'), fault.message);
    t.regex(fault.message, why);
  });
}

test('two modules cannot have the same name', async (t) => {
  const loading = loadCustomCapabilities(folderOf(t, { 'a.js': today, 'b.js': today }), isTaken);
  t.regex((await t.throwsAsync(loading, { instanceOf: Fault })).message, /b\.js.*name of a capability/);
});

test('a file that others can write to, or that is a link, is never run, nor is anything in such a folder', async (t) => {
  const marker = '\nglobalThis.customCapabilityRan = true;';
  const refused = async (folder: string, why: RegExp): Promise<void> => {
    t.regex((await t.throwsAsync(loadCustomCapabilities(folder, isTaken), { instanceOf: Fault })).message, why);
    t.false('customCapabilityRan' in globalThis);
  };
  for (const mode of [0o664, 0o646]) {
    const folder = folderOf(t, { 'today.js': today + marker });
    chmodSync(join(folder, 'today.js'), mode);
    await refused(folder, /others than its owner can write/);
  }
  const linked = folderOf(t, { 'today.txt': today + marker });
  symlinkSync('today.txt', join(linked, 'today.js'));
  await refused(linked, /no link/);
  const open = folderOf(t, { 'today.js': today + marker });
  chmodSync(open, 0o777);
  await refused(open, /others than its owner can write/);
  await refused(join(open, 'gone'), /no such folder/);
  await refused(join(linked, 'today.txt'), /has to be a folder/);
});
