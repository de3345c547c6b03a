/** Class F: guest code that uses what it was not given, or more of it than it was given, over the whole path. */
import anyTest, { type TestFn } from 'ava';
import type { AuditRecord } from '../../client/protocol.ts';
import { makeEffects } from '../../daemon/capabilities/effects.ts';
import type { Engines } from '../../daemon/capabilities/engines.ts';
import { systemClock } from '../../daemon/clock.ts';
import { CAPABILITY_NAMES, type CapabilityName } from '../../policies/capabilities.ts';
import { lowestLevelGranting } from '../../policies/evaluate.ts';
import { DaemonProcess, type RawClient, type RpcFault } from '../harness/daemon-process.ts';
import { PolicyFolder } from '../harness/policy-folder.ts';
import { Guest } from '../harness/shared-daemon.ts';
import { shippedPolicy } from '../policies/shipped-files.ts';
import { endOf } from './attack-table.ts';

const test = anyTest as TestFn;
const cleanups: (() => unknown)[] = [];
const policy = new PolicyFolder();
const shipped = shippedPolicy();
const LEVELS = [...shipped.levels.keys()];
/** What is no function but a part of the engine. */
const PLATFORM: readonly (readonly [
  CapabilityName,
  readonly { readonly source: string; readonly global?: string }[],
])[] = [
  ['web_assembly', [{ source: 'WebAssembly', global: 'WebAssembly' }]],
  [
    'shared_memory',
    [
      { source: 'SharedArrayBuffer', global: 'SharedArrayBuffer' },
      { source: 'Atomics', global: 'Atomics' },
    ],
  ],
  ['resizable_buffers', [{ source: 'ArrayBuffer.prototype.resize' }]],
];
let client: RawClient;
let admin: RawClient;

test.serial.before(async () => {
  cleanups.push(() => policy.remove());
  policy.grant('standard', 'kv', '{ budget: { calls: 5 }, valueBytesMax: 1000, keysMax: 3 }');
  const daemon = await DaemonProcess.start(
    { teardown: (end) => void cleanups.unshift(end as () => unknown) },
    { args: ['--client-ceiling', 'unrestricted', '--policies', policy.path] },
  );
  client = await daemon.connect();
  admin = await daemon.connect('admin');
});

test.after.always(async () => {
  for (const cleanup of cleanups) await cleanup();
});

async function decisions(guest: Guest): Promise<readonly AuditRecord[]> {
  return (await admin.call('audit.query', { kind: 'capability.decision', sessionId: guest.sessionId })).records;
}

/** Waits until the daemon has another policy in force than the one of that hash. */
async function reloaded(before: string): Promise<void> {
  while ((await admin.call('policy.list', {})).hash === before) await new Promise((resolve) => setTimeout(resolve, 20));
}

// No effect is carried out here, so that no engine is needed.
for (const { name, globals } of Object.values(makeEffects({} as Engines, systemClock)) as unknown as {
  name: string;
  globals: readonly string[];
}[]) {
  const lowest = lowestLevelGranting(shipped, name) ?? '';
  const below = LEVELS[LEVELS.indexOf(lowest) - 1] ?? '';
  test.serial(
    `F01: ${name} does not exist at level ${below}, whatever it is called by, and using it is denied and recorded`,
    async (t) => {
      const guest = await Guest.open(client, { level: below });
      for (const global of globals) {
        const looked = `[typeof ${global}, ${JSON.stringify(global)} in globalThis, globalThis["${global.slice(0, 2)}" + "${global.slice(2)}"] === undefined]`;
        t.deepEqual(await guest.json(looked), ['undefined', false, true], global);
      }
      const { error } = await guest.run(`${globals[0]}("x")`);
      t.is(error?.code, 'CAPABILITY_DENIED');
      t.like(error?.details, { capability: name, level: below, lowestLevel: lowest });
      t.like((await decisions(guest))[0]?.fields, { capability: name, verdict: 'deny', level: below });
      await guest.close();
    },
  );
}

test.serial('F01: a message that names a capability by text reaches nothing', async (t) => {
  const guest = await Guest.open(client, { level: 'restricted' });
  for (const source of [
    'input.constructor("return exec")()',
    'Reflect.get(globalThis, "exec")',
    'Object.getPrototypeOf(input).exec',
    'sleep.call.exec',
  ])
    t.is(await guest.json(`try { typeof (${source}) } catch { 'undefined' }`), 'undefined', source);
});

test.serial('F02, I12: only the exact name of a level is one, and only below the ceiling', async (t) => {
  for (const level of [
    'Trusted',
    'root',
    ' trusted',
    'trusted\0',
    '',
    '__proto__',
    4,
    ['trusted'],
    { level: 'trusted' },
  ]) {
    const error = await t.throwsAsync(client.callAny('session.create', { level }), undefined, String(level));
    t.is((error as RpcFault).code, 'INVALID_PARAMS');
  }
  t.is((await client.call('session.create', {})).level, 'sandbox');
});

test.serial('F07: arguments that do not fit exactly are refused before anything is done', async (t) => {
  const guest = await Guest.open(client, { level: 'standard' });
  const calls = [
    'write_file("a")',
    'write_file("a", 5)',
    'write_file(["a"], "b")',
    'write_file("a", "b", { mode: 511 })',
    'read_file({ path: "a" })',
    'read_file("a", null, 1)',
    'hash("sha256")',
    'hash({ toString: () => "sha256" }, "x")',
    'sleep("-1")',
    'sleep(NaN)',
    'query("scratch", "select 1", { 0: 1 })',
    'query("scratch", "select 1; drop table t")',
    'list_files("/", Object.create({ recursive: true }), "more")',
  ];
  for (const call of calls)
    t.regex(
      String(await guest.json(`await (async () => ${call})().then(() => 'done').catch((e) => e.code ?? e.name)`)),
      /^(INVALID_PARAMS|TypeError|CAPABILITY_DENIED|EFFECT_FAILED)$/,
      call,
    );
  t.deepEqual(await guest.json('(await list_files()).entries'), []);
});

test.serial(
  'F08: an argument that answers differently each time is read once: what was recorded is what is done',
  async (t) => {
    const guest = await Guest.open(client, { level: 'standard' });
    await guest.run('let n = 0; const sly = { get recursive() { return n++ > 0 } }; await list_files("/", sly)');
    t.true(Number(await guest.json('n')) <= 1);
    await guest.run(
      'const list = ["a.txt", "b.txt"]; await write_file({ toString: () => list.shift() }, "x").catch(() => 0)',
    );
    await guest.run(
      'await write_file(new Proxy(["q"], { get: (o, k) => (k === "0" ? list.shift() : o[k]) }), "x").catch(() => 0)',
    );
    t.deepEqual(await guest.json('(await list_files()).entries'), []);
  },
);

test.serial('F10: calls made at once do not get past a budget, nor values past a quota', async (t) => {
  const guest = await Guest.open(client, { level: 'standard' });
  const codes = (await guest.json(
    '(await Promise.all(Array.from({ length: 20 }, (_, i) => kv.set("k" + i, i).then(() => "done").catch((e) => e.code)))).sort().join()',
  )) as string;
  t.is(codes.split(',').filter((code) => code === 'BUDGET_EXCEEDED').length, 15);
  t.is(codes.split(',').filter((code) => code === 'done').length, 3);
});

test.serial('F11, D10: a flood of calls meets the cap on open calls, and the session goes on', async (t) => {
  const guest = await Guest.open(client, { level: 'standard' });
  const { error } = await guest.run('for (let i = 0; i < 1e5; i++) sleep(10)');
  t.is(error?.name, 'RangeError');
  t.is(await guest.json('1 + 1'), 2);
});

test.serial('F14: what a capability throws is an error inside the isolate and nothing else', async (t) => {
  const guest = await Guest.open(client, { level: 'standard' });
  const reaching =
    'await read_file("none").catch((e) => [e instanceof Error, e.constructor === Error, e.constructor.constructor("return typeof process")()])';
  t.deepEqual(await guest.json(reaching), [true, true, 'undefined']);
});

test.serial(
  'F01: every capability of the policy is either tried below its lowest level here, or is there at the lowest',
  (t) => {
    const effects = Object.values(makeEffects({} as Engines, systemClock)).map(({ name }) => name as string);
    const free = [...(shipped.levels.get('sandbox')?.grants.keys() ?? [])];
    const rest = CAPABILITY_NAMES.filter((name) => !effects.includes(name) && !free.includes(name));
    t.deepEqual([...rest].sort(), ['provided', ...PLATFORM.map(([name]) => name)].sort());
  },
);

for (const [name, uses] of PLATFORM) {
  test.serial(
    `F01: ${name} is missing from the engine below trusted, and using it is denied and recorded`,
    async (t) => {
      const guest = await Guest.open(client, { level: 'standard' });
      for (const { source, global } of uses) {
        t.is(await guest.json(`typeof (${source})`), 'undefined', source);
        if (global === undefined) continue;
        const { error } = await guest.run(`new ${global}(1)`);
        t.is(error?.code, 'CAPABILITY_DENIED');
        t.like(error?.details, { capability: name, level: 'standard', lowestLevel: 'trusted' });
        t.like((await decisions(guest))[0]?.fields, { capability: name, verdict: 'deny', level: 'standard' });
      }
      await guest.close();
    },
  );
}

test.serial('F01: no reference that code has saved outlives a move to a lower level', async (t) => {
  const guest = await Guest.open(client, { level: 'trusted' });
  const { sessionId } = guest;
  await guest.run('globalThis.saved = delete_file; var held = [delete_file, delete_file.bind(null)]; 0');
  await client.call('session.setLevel', { sessionId, level: 'restricted' });
  t.is(await guest.json('[typeof delete_file, typeof saved, typeof held].join()'), 'undefined,undefined,undefined');
  t.is(endOf(await guest.run('await delete_file("x")')).split(' ')[0], 'CAPABILITY_DENIED');
  t.like((await decisions(guest))[0]?.fields, { capability: 'delete_file', verdict: 'deny', level: 'restricted' });
  await guest.close();
});

test.serial(
  'F01: references that code has saved, bound or wrapped are refused once the files of the policy no longer grant them',
  async (t) => {
    const guest = await Guest.open(client, { level: 'trusted' });
    await guest.run(`
    var key = new Uint8Array(32), saved = encrypt, bound = encrypt.bind(null), held = { encrypt };
    var wrapped = new Proxy(encrypt, {}), reflected = (...args) => Reflect.apply(saved, null, args);
    await saved('x', key)`);
    const { hash } = await admin.call('policy.list', {});
    policy.edit('trusted', /^ {2}encrypt: .*\n/m, '');
    await reloaded(hash);
    for (const name of ['saved', 'bound', 'held.encrypt', 'wrapped', 'reflected'])
      t.is(await guest.json(`await ${name}('x', key).catch((e) => e.code)`), 'CAPABILITY_DENIED', name);
    const { length } = await decisions(guest);
    t.is(endOf(await guest.run("await saved('x', key)")).split(' ')[0], 'CAPABILITY_DENIED');
    t.is((await decisions(guest)).length, length + 1);
    t.like((await decisions(guest))[0]?.fields, { capability: 'encrypt', verdict: 'deny', level: 'trusted' });
    await guest.close();
  },
);

test.serial('F02: neither a cell nor a level of the guest’s own choice raises a session', async (t) => {
  const { sessionId } = await client.call('session.create', {});
  for (const more of [{ level: 'trusted' }, { capabilities: ['fetch'] }, { limits: {} }]) {
    const error = await t.throwsAsync(
      client.callAny('session.execute', { sessionId, source: 'typeof fetch', ...more }),
    );
    t.is((error as RpcFault).code, 'INVALID_PARAMS', JSON.stringify(more));
  }
  const { value } = await client.call('session.execute', { sessionId, source: 'typeof fetch' });
  t.deepEqual(value, { kind: 'json', json: 'undefined' });
  t.is((await client.call('session.show', { sessionId })).level, 'sandbox');
});

test.serial('F04: a session of the administrator’s cannot be used by a client that knows its id', async (t) => {
  const { sessionId } = await admin.call('session.create', { level: 'unrestricted' });
  for (const [method, params] of [
    ['session.attach', { sessionId }],
    ['session.execute', { sessionId, source: '1' }],
    ['session.show', { sessionId }],
    ['session.setLevel', { sessionId, level: 'sandbox' }],
    ['session.close', { sessionId }],
  ] as const) {
    const error = await t.throwsAsync(client.callAny(method, params), undefined, method);
    t.is((error as RpcFault).code, 'UNKNOWN_SESSION');
  }
  await admin.call('session.close', { sessionId });
});

test.serial('F13: a pattern that would mean something else than it says is no policy', async (t) => {
  const grants = [
    ...['', '**', '../x', 'a/b', '..', '[a]', '!a', '\u200b'].map(
      (name) => `read_file: { blocked: [${JSON.stringify(name)}] }`,
    ),
    ...['', '**', 'http://a.example', '*.*.example', 'a.*', 'a.example/../b', '%61.example'].map(
      (host) => `fetch: { hosts: [${JSON.stringify(host)}] }`,
    ),
    ...['', '..', '/etc', 'WORKSPACE'].map((root) => `read_file: { roots: [${JSON.stringify(root)}] }`),
  ];
  const files = await filesOf(policy);
  const problemsOf = async (grant: string): Promise<unknown> => {
    const text = `level: x\nrank: 31\nextends: sandbox\ndescription: Of one grant.\ngrants:\n  ${grant}\n`;
    return (await admin.call('policy.validate', { files: [...files, { name: 'x.yaml', text }] })).problems;
  };
  t.deepEqual(await problemsOf('read_file: { roots: [workspace], blocked: ["*.x"] }'), []);
  t.deepEqual(await problemsOf('fetch: { hosts: ["*.example.com:8443/public/*"] }'), []);
  for (const grant of grants) t.notDeepEqual(await problemsOf(grant), [], grant);
});

test.serial('F12: a broken edit of the policy weakens nothing, and a narrowing reaches saved references', async (t) => {
  const guest = await Guest.open(client, { level: 'standard' });
  await guest.run('const saved = hash; await saved("sha256", "x")');
  const { hash } = await admin.call('policy.list', {});
  policy.write('standard.yaml', 'level: standard\nrank: [');
  const isRejected = async (): Promise<boolean> =>
    (await admin.call('audit.query', { kind: 'policy.rejected' })).records.length > 0;
  while (!(await isRejected())) await new Promise((resolve) => setTimeout(resolve, 20));
  t.is((await admin.call('policy.list', {})).hash, hash);
  t.is(String(await guest.json('await saved("sha256", "x")')).length, 64);
  const whole = new PolicyFolder().grant('standard', 'hash', 'false');
  t.teardown(() => whole.remove());
  await admin.call('policy.apply', { files: await filesOf(whole) });
  await reloaded(hash);
  t.is(await guest.json('await saved("sha256", "x").catch((e) => e.code)'), 'CAPABILITY_DENIED');
  t.is(endOf(await guest.run('await saved("sha256", "x")')).split(' ')[0], 'CAPABILITY_DENIED');
});

const unusable: readonly [what: string, spoil: (folder: PolicyFolder) => void, message: RegExp][] = [
  ['a folder that is not there', (folder) => folder.remove(), /polic/],
  ['a file that is no YAML', (folder) => void folder.write('sandbox.yaml', 'level: ['), /sandbox\.yaml/],
  ['a file of another form', (folder) => void folder.write('sandbox.yaml', '[1, 2]'), /sandbox\.yaml/],
  ['an empty file', (folder) => void folder.write('standard.yaml', ''), /standard\.yaml|standard/],
  ['two levels of one name', (folder) => void folder.write('again.yaml', 'level: sandbox\nrank: 11\n'), /sandbox/],
  [
    'levels that extend each other',
    (folder) => void folder.edit('sandbox', 'rank: 10', 'rank: 10\nextends: trusted'),
    /extends|sandbox/,
  ],
  ['an unknown ceiling', (folder) => void folder.edit('policy', 'client: trusted', 'client: everything'), /everything/],
];
for (const [what, spoil, message] of unusable) {
  test.serial(`F12: a daemon does not start with ${what}`, async (t) => {
    const folder = new PolicyFolder();
    t.teardown(() => folder.remove());
    spoil(folder);
    await t.throwsAsync(DaemonProcess.start(t, { args: ['--policies', folder.path] }), { message });
  });
}

test.serial('F12: a daemon does not start with a broken policy', async (t) => {
  const broken = new PolicyFolder().edit('restricted', 'input:', 'inptu:');
  t.teardown(() => broken.remove());
  const error = await t.throwsAsync(DaemonProcess.start(t, { args: ['--policies', broken.path] }));
  t.regex(error?.message ?? '', /restricted\.yaml:\d+:3: grants\.inptu: .*did you mean "input"\?/);
});

async function filesOf(folder: PolicyFolder): Promise<{ name: string; text: string }[]> {
  const { readdir, readFile } = await import('node:fs/promises');
  const names = (await readdir(folder.path)).filter((name) => name.endsWith('.yaml'));
  return Promise.all(names.map(async (name) => ({ name, text: await readFile(`${folder.path}/${name}`, 'utf8') })));
}
