import test from 'ava';
import { CAPABILITY_FIELDS, CAPABILITY_NAMES, type CapabilityName } from '../../policies/capabilities.ts';
import { decide, levelOf } from '../../policies/evaluate.ts';
import { LIMIT_NAMES } from '../../policies/limits.ts';
import { LEVELS } from '../../policies/policy.ts';
import { shippedPolicy } from './shipped-files.ts';

const policy = shippedPolicy();

/** DESIGN §6, row by row: what a level below has, every level above has too. */
const ADDED: Readonly<Record<(typeof LEVELS)[number], readonly string[]>> = {
  sandbox: ['print', 'console', 'display', 'log', 'time', 'random'],
  restricted: ['input', 'sleep', 'read_file', 'list_files', 'provided'],
  standard: ['write_file', 'kv', 'fetch', 'dns', 'hash', 'query'],
  trusted: [
    ...['delete_file', 'encrypt', 'execute', 'transaction', 'websocket', 'env', 'secret', 'approve', 'review'],
    ...['web_assembly', 'shared_memory', 'resizable_buffers'],
  ],
  unrestricted: ['exec'],
};

const READING = ['GET', 'HEAD'];
const EVERY_METHOD = [...READING, 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** The constraints that make up the rest of the table: level by level what is stated there. */
const STATED: Readonly<Record<(typeof LEVELS)[number], Readonly<Record<string, Readonly<Record<string, unknown>>>>>> = {
  sandbox: { time: { mode: 'seeded' }, random: { mode: 'seeded' } },
  restricted: {
    input: { waitMsMax: 600_000 },
    sleep: { msMax: 60_000 },
    read_file: { roots: ['workspace'], fileBytesMax: 1_048_576 },
    list_files: { roots: ['workspace'], entriesMax: 1000 },
    provided: { countMax: 64, timeMsMax: 60_000, bytesMax: 1_048_576 },
  },
  standard: {
    input: { waitMsMax: 3_600_000 },
    sleep: { msMax: 3_600_000 },
    read_file: { roots: ['workspace'], fileBytesMax: 8_388_608 },
    list_files: { roots: ['workspace'], entriesMax: 10_000 },
    write_file: { roots: ['workspace'], fileBytesMax: 8_388_608, totalBytesMax: 67_108_864, filesMax: 1000 },
    kv: { stores: ['session'], valueBytesMax: 65_536, totalBytesMax: 4_194_304, keysMax: 10_000 },
    fetch: { hosts: [], methods: READING, addresses: [], credentials: [] },
    dns: { hosts: [], addresses: [] },
    hash: { algorithms: ['sha256', 'sha384', 'sha512', 'sha3-256', 'blake2b512'], bytesMax: 16_777_216 },
    query: { sources: ['scratch'], rowsMax: 10_000, bytesMax: 4_194_304, timeMsMax: 10_000 },
  },
  trusted: {
    time: { mode: 'live' },
    random: { mode: 'live' },
    input: { waitMsMax: 86_400_000 },
    sleep: { msMax: 604_800_000 },
    delete_file: { roots: ['workspace'] },
    fetch: { hosts: [], methods: EVERY_METHOD, addresses: [], credentials: [] },
    websocket: { hosts: [], addresses: [], credentials: [] },
    encrypt: { secrets: [], bytesMax: 16_777_216 },
    execute: { sources: ['scratch'] },
    transaction: { sources: ['scratch'] },
    env: { names: [] },
    secret: { names: [] },
    approve: { waitMsMax: 86_400_000 },
    review: { waitMsMax: 86_400_000 },
  },
  unrestricted: {
    sleep: { msMax: 31_536_000_000 },
    fetch: { hosts: ['*:*'], methods: EVERY_METHOD, addresses: [], credentials: [] },
    dns: { hosts: ['*'], addresses: [] },
    websocket: { hosts: ['*:*'], addresses: [], credentials: [] },
    exec: { programs: [], timeMsMax: 60_000, outputBytesMax: 1_048_576 },
  },
};

for (const [index, level] of LEVELS.entries()) {
  const upTo = LEVELS.slice(0, index + 1);
  const names = upTo.flatMap((name) => ADDED[name]);

  test(`level ${level} grants exactly the capabilities that the table of the design says`, (t) => {
    t.deepEqual([...levelOf(policy, level).grants.keys()].toSorted(), names.toSorted());
    for (const capability of CAPABILITY_NAMES) {
      const expected = names.includes(capability) ? 'allow' : 'deny';
      t.is(decide(policy, level, capability).verdict, expected, capability);
    }
  });

  test(`level ${level} has the constraints that it and the levels below it state`, (t) => {
    const stated = new Map(upTo.flatMap((name) => Object.entries(STATED[name])));
    for (const [capability, constraints] of stated) {
      t.like(levelOf(policy, level).grants.get(capability)?.constraints, constraints, capability);
    }
  });
}

test('every grant of the shipped levels has exactly the fields of its capability', (t) => {
  for (const level of policy.levels.values()) {
    for (const [name, { constraints }] of level.grants) {
      const fields = Object.keys(CAPABILITY_FIELDS[name as CapabilityName]);
      t.deepEqual(Object.keys(constraints).toSorted(), fields.toSorted(), `${level.name} ${name}`);
    }
  }
});

test('no shipped level reaches a private address, or a secret, variable, program or credential of the machine', (t) => {
  for (const level of policy.levels.values()) {
    for (const { constraints } of level.grants.values()) {
      for (const field of ['addresses', 'secrets', 'names', 'programs', 'credentials']) {
        if (field in constraints) t.deepEqual(constraints[field], [], `${level.name} ${field}`);
      }
    }
  }
});

test('what code of the highest level does is on the disk before it is done', (t) => {
  t.is(levelOf(policy, 'unrestricted').auditSync, 'always');
  for (const level of LEVELS.slice(0, -1)) t.is(levelOf(policy, level).auditSync, 'interval');
});

test('clients reach up to trusted, administrators everything', (t) => {
  t.deepEqual(policy.ceilings, { client: 'trusted', admin: 'unrestricted' });
});

test('a capability granted at one level is granted at every level above it', (t) => {
  for (const [index, level] of LEVELS.entries()) {
    const above = LEVELS[index + 1];
    if (above === undefined) continue;
    for (const name of levelOf(policy, level).grants.keys()) t.true(levelOf(policy, above).grants.has(name), name);
  }
});

test('a higher level never has a smaller limit than a lower one', (t) => {
  for (const [index, level] of LEVELS.entries()) {
    const above = LEVELS[index + 1];
    if (above === undefined) continue;
    for (const name of LIMIT_NAMES) {
      t.true(levelOf(policy, level).limits[name] <= levelOf(policy, above).limits[name], `${name} at ${above}`);
    }
  }
});

test('every level lets one client keep a thousand sessions open', (t) => {
  for (const level of LEVELS) t.true(levelOf(policy, level).limits.sessionsMax >= 1000);
});

test('the policy lists its levels in ascending order of rank', (t) => {
  t.deepEqual([...policy.levels.keys()], [...LEVELS]);
  const ranks = [...policy.levels.values()].map((level) => level.rank);
  t.deepEqual(
    ranks,
    ranks.toSorted((a, b) => a - b),
  );
});

test('an inherited grant keeps the file and line of the level that states it', (t) => {
  const grant = levelOf(policy, 'unrestricted').grants.get('print');
  t.is(grant?.ruleId, 'sandbox/grants/print');
  t.like(grant?.origin, { file: 'sandbox.yaml', line: 8, column: 3, level: 'sandbox' });
  t.like(levelOf(policy, 'standard').limitOrigins.get('timersMax'), { file: 'sandbox.yaml', level: 'sandbox' });
});
