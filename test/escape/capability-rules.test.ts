/** Class F: guest code that bends the rules of what it was given: arguments, budgets, waiting, names. */
import anyTest, { type TestFn } from 'ava';
import { AdministeredDaemon, refusalOf } from '../e2e/_administered.ts';
import { until } from '../harness/processes.ts';
import { Guest } from '../harness/shared-daemon.ts';

const test = anyTest as TestFn;
/** A level with little of everything, and a person who is asked. */
const NARROW = `level: narrow
rank: 35
extends: sandbox
description: Little of everything.
grants:
  sleep: { msMax: 3600000 }
  read_file: { roots: [workspace], blocked: [straße.txt, é*, secret] }
  list_files: { roots: [workspace] }
  write_file: { roots: [workspace], blocked: [straße.txt, é*, secret] }
  query: { sources: [scratch] }
  kv: { stores: [shared], approval: always }
  hash: { bytesMax: 100000, budget: { bytes: 2000 } }
`;
const file = new AdministeredDaemon(test, (policy) => policy.write('narrow.yaml', NARROW));

const open = (level: string): Promise<Guest> => Guest.open(file.client, { level });
const decisions = ({ sessionId }: Guest) => file.records('capability.decision', { sessionId });

test('F05: what waits when its session is lowered is interrupted, and does not happen once somebody approves', async (t) => {
  const session = await file.session({ level: 'narrow' });
  const { sessionId } = session;
  const waiting = session.run('await Promise.all([sleep(3600000), kv.set("f05", 1)])');
  const request = await file.requestOf(session);
  await session.client.call('session.setLevel', { sessionId, level: 'sandbox' });
  t.is((await waiting).error?.code, 'INTERRUPTED');
  t.is(await refusalOf(file.settle(request, 'approve')), 'APPROVAL_SETTLED');
  t.is((await (await file.admin).call('approval.show', { approvalId: request.approvalId })).status, 'cancelled');
  const allowed = await file.records('capability.decision', { sessionId, verdict: 'allow' });
  t.deepEqual(
    allowed.map(({ fields }) => fields['capability']),
    ['sleep'],
  );
  const outcomes = () => file.records('capability.outcome', { sessionId });
  await until(async () => (await outcomes()).length === 2);
  t.true((await outcomes()).every(({ fields }) => fields['outcome'] === 'failed'));
});

test('F08: what is recorded is what is used, whatever getters, proxies and changed built-ins answer', async (t) => {
  const guest = await open('standard');
  await guest.run(`await write_file('digits', '0123456789'); var n = 0;
    var getter = { get offset() { return n++ }, length: 1 }, own = { offset: 1, length: 1, toJSON: () => ({ offset: n++ }) };
    var proxy = new Proxy({ offset: 1, length: 1 }, { get: (o, k) => (k === 'offset' ? n++ : o[k]) }); 0`);
  const before = (await decisions(guest)).length;
  for (const sly of ['getter', 'own']) {
    t.is((await guest.run(`await read_file('digits', ${sly})`)).error?.name, 'TypeError', sly);
    t.is((await decisions(guest)).length, before, 'it was refused before it was a call');
  }
  await guest.run('print(await read_file("digits", proxy))');
  await guest.run(`
    Object.prototype.toJSON = function () { return n++ % 2 ? this : { offset: 9, length: 1 } };
    JSON.stringify = () => '["digits",{"offset":8,"length":1}]';
    Array.prototype[Symbol.iterator] = function* () { yield 'digits'; yield { offset: 7, length: 1 } };
    Array.prototype.map = () => ['digits', { offset: 6, length: 1 }]; 0`);
  const used: string[] = [];
  for (const sly of ['proxy', '{ offset: 3, length: 1 }']) {
    const { output } = await guest.run(`print(await read_file("digits", ${sly}))`);
    used.push(output.stdout.trim());
    t.regex(used.at(-1) ?? '', /^\d$/);
    const [latest] = await decisions(guest);
    t.like(latest?.fields, { capability: 'read_file', verdict: 'allow' });
    t.true(JSON.stringify(latest?.fields['args']).includes(`"offset":${used.at(-1)}`), sly);
  }
  t.is(used[1], '3');
  await guest.close();
});

test('F09: what may only read changes nothing: neither files by options nor a database by its statements', async (t) => {
  const guest = await open('standard');
  const calls = [
    ...['{ flag: "w" }', '{ flags: "a+" }', '{ mode: 511 }', '{ encoding: "w" }', '{ create: true }', '"w"'].map(
      (options) => `read_file("made", ${options})`,
    ),
    ...[
      'create table t (a)',
      'with a as (select 1) insert into t select * from a',
      'pragma user_version = 7',
      'pragma journal_mode = delete',
      "attach database 'made' as made",
      "vacuum into 'made'",
      "select load_extension('made')",
      "select writefile('made', 'x')",
      'begin; create table t (a); commit',
      'select 1; create table t (a)',
      '-- select\ncreate table t (a)',
    ].map((sql) => `query("scratch", ${JSON.stringify(sql)})`),
  ];
  for (const call of calls)
    t.regex(
      String(await guest.json(`await (async () => ${call})().then(() => 'done').catch((e) => e.code ?? e.name)`)),
      /^(INVALID_PARAMS|CAPABILITY_DENIED|EFFECT_FAILED|TypeError)$/,
      call,
    );
  t.deepEqual(await guest.json('(await query("scratch", "select count(*) as n from sqlite_master")).rows'), [{ n: 0 }]);
  t.deepEqual(await guest.json('(await list_files()).entries'), []);
  await guest.close();
});

test('F10: a budget of bytes is not beaten by many small calls at once, by a new isolate, or by another level and back', async (t) => {
  const guest = await open('narrow');
  const done = `(await Promise.all(Array.from({ length: 60 }, () => hash('sha256', 'x'.repeat(100)).then(() => 1, (e) => e.code))))`;
  const ends = (await guest.json(done)) as (1 | string)[];
  const allowed = ends.filter((end) => end === 1).length;
  t.true(allowed > 0 && allowed <= 20, ends.join());
  t.deepEqual([...new Set(ends)].sort(), [1, 'BUDGET_EXCEEDED']);
  const { sessionId } = guest;
  await file.client.call('session.reset', { sessionId });
  t.is(await guest.json('await hash("sha256", "x".repeat(100)).catch((e) => e.code)'), 'BUDGET_EXCEEDED');
  t.is((await decisions(guest))[0]?.fields['code'], 'BUDGET_EXCEEDED');
  await guest.close();
});

test('F11: a call made while another’s arguments are read, or from its answer, is a call like any other', async (t) => {
  const guest = await open('standard');
  const { error } = await guest.run(
    'const again = () => hash("sha256", "x", { get key() { return again() } }); await again()',
  );
  t.not(error, undefined);
  t.is(await guest.json('1 + 1'), 2);
  const chained =
    'let n = 0; const step = (i) => i === 0 ? n : hash("sha256", "x").then(() => (n++, eval("step")(i - 1))); await step(20)';
  t.is(await guest.json(chained), 20);
  const allowed = (await decisions(guest)).filter(({ fields }) => fields['verdict'] === 'allow');
  t.true(allowed.length >= 20, 'each of them is in the log');
  await guest.close();
});

test('F11: a call made while an answer is being handed over, or while the arguments of another are read, is its own call', async (t) => {
  const guest = await open('standard');
  await guest.run('await kv.set("f11", { a: 1 }); var made = []');
  // The promise of an answer looks for `then` on it, which is code of the guest's inside the entry that settles the call.
  const handedOver = `
    let left = 3;
    Object.defineProperty(Object.prototype, 'then', {
      configurable: true,
      get() { if (left-- > 0) made.push(hash('sha256', 'inner' + left).then(() => kv.get('f11'))); },
    });
    const answer = await kv.get('f11');
    delete Object.prototype.then;
    [answer.a, made.length > 0, (await Promise.all(made)).every(({ a }) => a === 1)]`;
  t.deepEqual(await guest.json(handedOver), [1, true, true]);
  const whileRead = `
    const inner = [];
    const sly = new Proxy({ recursive: false }, { ownKeys(o) { inner.push(list_files('/workspace')); return Reflect.ownKeys(o); } });
    await list_files('/', sly);
    [inner.length > 0, (await Promise.all(inner)).every(({ entries }) => entries.length === 0)]`;
  t.deepEqual(await guest.json(whileRead), [true, true]);
  const calls = (await decisions(guest)).map(({ fields }) => [fields['verdict'], fields['callId']] as const);
  t.is(new Set(calls.map(([, callId]) => callId)).size, calls.length, 'each has an id and a record of its own');
  t.true(calls.every(([verdict]) => verdict === 'allow'));
  const outcomes = await file.records('capability.outcome', { sessionId: guest.sessionId });
  t.is(outcomes.length, calls.length, 'and an outcome');
  await guest.close();
});

test('F13: no spelling of a blocked name gets around it, and other names are other files', async (t) => {
  const guest = await open('narrow');
  const blocked = [
    'straße.txt',
    'STRASSE.TXT',
    'Strasse.txt.',
    'straße.txt ',
    'e\u0301a',
    'É',
    'a/SECRET/b',
    'se\u00adcret',
    'secret..',
  ];
  for (const name of blocked)
    for (const call of [`write_file(${JSON.stringify(name)}, 'x')`, `read_file(${JSON.stringify(name)})`])
      t.is(await guest.json(`await ${call}.catch((e) => e.code)`), 'CAPABILITY_DENIED', JSON.stringify(call));
  for (const name of ['%73ecret', 'secrets', 'secret%2f', 'e', '**'])
    t.deepEqual(await guest.json(`await write_file(${JSON.stringify(name)}, 'x')`), { bytes: 1 }, name);
  await guest.close();
});

test('F14: failures that nobody catches, many at once, end no process and are no news to the daemon', async (t) => {
  const guest = await open('standard');
  await guest.run(
    'for (let i = 0; i < 200; i++) { void read_file("none"); void hash("none", "x"); void query("none", "x") } 0',
  );
  t.is(await guest.json('await read_file("none").catch((e) => e.code)'), 'EFFECT_FAILED');
  t.true(file.daemon.running);
  t.notRegex(file.daemon.stderr, /unhandled| {4}at /i);
  await guest.close();
});
