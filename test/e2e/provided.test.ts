/** Functions that a client provides for its own sessions: offered, called, checked both ways, and taken back. */
import test from 'ava';
import { AdministeredDaemon, refusalOf } from './_administered.ts';
import { type Answerer, answering, ClientFunctions, silent } from './_client-functions.ts';

const file = new AdministeredDaemon(test, (policy) => {
  policy.grant('restricted', 'provided', '{ countMax: 3, timeMsMax: 60000, bytesMax: 1000 }');
});

const json = (value: unknown) => ({ kind: 'json' as const, json: value });

async function providing(level = 'restricted') {
  const session = await file.ownSession({ level });
  return { session, sessionId: session.sessionId, functions: new ClientFunctions(session.client) };
}

const ADD = {
  parameters: { type: 'array', prefixItems: [{ type: 'number' }, { type: 'number' }], minItems: 2, maxItems: 2 },
  result: { type: 'number' },
};

test('a function of the client is called with its arguments and its answer comes back, in a running session', async (t) => {
  const { session, sessionId, functions } = await providing();
  await session.run('var kept = 1');
  await functions.provide(
    sessionId,
    'add',
    answering((a: number, b: number) => a + b),
    ADD,
  );
  t.true((await session.event('capabilities.changed')).capabilities.includes('add'));
  t.deepEqual(
    await session.value('[kept, await add(2, 3), typeof add, Object.getOwnPropertyNames(add)]'),
    json([1, 5, 'function', ['length', 'name']]),
  );
  t.like(functions.calls[0], { method: 'capability.invoke', params: { sessionId, name: 'add', args: [2, 3] } });
  const { capabilities } = await session.client.call('capability.list', { sessionId });
  const described = capabilities.find(({ name }) => name === 'add');
  t.like(described, { granted: true, lowestLevel: 'restricted' });
  t.regex(described?.signature ?? '', /add\(.*number/);
  t.regex((await session.run('help(add)')).output.stdout, /What add does/);
});

test('a function is there for its own session alone, and gone with the session’s client only by name', async (t) => {
  const { session, sessionId, functions } = await providing();
  await functions.provide(
    sessionId,
    'mine',
    answering(() => 1),
  );
  const sibling = await file.session({ level: 'restricted' }, session.client);
  t.deepEqual(await sibling.value('typeof mine'), json('undefined'));
  const stranger = await file.daemon.connect();
  const offer = { sessionId, name: 'theirs', summary: 'x', parameters: true };
  t.is(await refusalOf(stranger.call('capability.provide', offer)), 'UNKNOWN_SESSION');
  t.is(await refusalOf(stranger.call('capability.withdraw', { sessionId, name: 'mine' })), 'UNKNOWN_SESSION');
  t.deepEqual(await session.value('await mine()'), json(1));
  stranger.close();
});

test('what does not fit the client’s schema never reaches the client', async (t) => {
  const { session, sessionId, functions } = await providing();
  await functions.provide(
    sessionId,
    'add',
    answering((a: number, b: number) => a + b),
    ADD,
  );
  for (const call of ['add()', 'add(1)', 'add(1, 2, 3)', 'add("1", 2)', 'add(1, null)', 'add([1, 2])']) {
    t.is((await session.run(`await ${call}`)).error?.name, 'InvalidArguments', call);
  }
  t.is(functions.calls.length, 0);
});

test('a call of more bytes than the level allows is TOO_LARGE, and never reaches the client', async (t) => {
  const { session, sessionId, functions } = await providing();
  await functions.provide(
    sessionId,
    'take',
    answering((text: string) => text.length),
  );
  t.deepEqual(await session.value('await take("x".repeat(996))'), json(996));
  t.is((await session.run('await take("x".repeat(997))')).error?.code, 'TOO_LARGE');
  t.is(functions.calls.length, 1);
});

const hostile: readonly [what: string, answer: Answerer, end: string | number | object | null][] = [
  [
    'an error',
    ({ id }, client) => client.send({ id, error: { code: -32001, message: 'no', data: { code: 'INTERNAL' } } }),
    'EFFECT_FAILED',
  ],
  ['an error that is no object', ({ id }, client) => client.send({ id, error: 'x' }), 'EFFECT_FAILED'],
  [
    'both a result and an error',
    ({ id }, client) => client.send({ id, result: 1, error: { message: 'x' } }),
    'EFFECT_FAILED',
  ],
  ['another type than it promised', answering(() => 'five'), 'EFFECT_FAILED'],
  ['nothing at all', ({ id }, client) => client.send({ id, result: null }), 'EFFECT_FAILED'],
  ['2 kB where 1 kB is allowed', ({ id }, client) => client.send({ id, result: 'x'.repeat(2000) }), 'TOO_LARGE'],
];

for (const [what, answer, end] of hostile) {
  test(`a client that answers with ${what} costs its own call, which ends as ${end}`, async (t) => {
    const { session, sessionId, functions } = await providing();
    await functions.provide(sessionId, 'add', answer, ADD);
    const { error } = await session.run('await add(1, 2)');
    t.is(error?.code, end as typeof error extends undefined ? never : 'EFFECT_FAILED');
    t.deepEqual(await session.value('try { await add(1, 2) } catch (e) { e instanceof Error }'), json(true));
    t.deepEqual(await session.value('1 + 1'), json(2));
  });
}

test('B06: an answer with a then, a toJSON or a __proto__ of its own is data and nothing else', async (t) => {
  const { session, sessionId, functions } = await providing();
  const text = '{"then":1,"toJSON":2,"constructor":3,"__proto__":{"polluted":true}}';
  await functions.provide(sessionId, 'odd', ({ id }, client) => {
    client.socket.send(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${text}}`);
  });
  t.deepEqual(
    await session.value(
      'const o = await odd(); [o.then, o.toJSON, o.constructor, Object.keys(o), String(({}).polluted), Object.getPrototypeOf(o) === Object.prototype]',
    ),
    json([1, 2, 3, ['then', 'toJSON', 'constructor', '__proto__'], 'undefined', true]),
  );
});

test('a second answer, an answer nobody asked for, and one under another connection’s id change nothing', async (t) => {
  const { session, sessionId, functions } = await providing();
  await functions.provide(sessionId, 'twice', ({ id }, client) => {
    client.send({ id: `${id}0`, result: 'other' });
    client.send({ id, result: 'first' });
    client.send({ id, result: 'second' });
    client.send({ id, error: { message: 'third' } });
  });
  t.deepEqual(await session.value('[await twice(), await twice()]'), json(['first', 'first']));
  const other = await providing();
  await other.functions.provide(other.sessionId, 'waits', silent);
  const waiting = other.session.run('await waits()');
  const { id } = await other.functions.call('waits');
  session.client.send({ id, result: 'stolen' });
  t.deepEqual(await session.value('1'), json(1));
  other.session.client.send({ id, result: 'mine' });
  t.deepEqual((await waiting).value, json('mine'));
});

test('C06: a call that the client never answers ends within its time, and a late answer is nobody’s', async (t) => {
  const { session, sessionId, functions } = await providing();
  await functions.provide(sessionId, 'never', silent, { timeoutMs: 100 });
  t.deepEqual(await session.value('try { await never() } catch (error) { error.code }'), json('TIMED_OUT'));
  const { id } = await functions.call('never');
  session.client.send({ id, result: 1 });
  t.deepEqual(await session.value('1 + 1'), json(2));
});

test('an interrupt ends a cell that waits for the client, and a reset forgets the call', async (t) => {
  const { session, sessionId, functions } = await providing();
  await functions.provide(sessionId, 'never', silent);
  const first = await session.start('await never()', 'first');
  await functions.call('never');
  await session.client.call('session.interrupt', { sessionId });
  t.is((await first.result).error?.code, 'INTERRUPTED');
  const second = await session.start('await never()', 'second');
  await session.client.call('session.reset', { sessionId });
  t.is((await second.result).error?.code, 'INTERRUPTED');
  for (const { id } of functions.calls) session.client.send({ id, result: 'late' });
  t.deepEqual(await session.value('typeof never'), json('function'), 'a fresh isolate has it too');
});

test('a client that disconnects leaves its calls unreachable; one that comes back provides again', async (t) => {
  const { session, sessionId, functions } = await providing();
  const { token } = await session.client.call('daemon.hello', {});
  await functions.provide(sessionId, 'ask', silent);
  const begun = await session.start('try { await ask() } catch (error) { [error.code, error.details.reason] }', 'cell');
  begun.result.catch(() => undefined);
  await functions.call('ask');
  session.client.close();
  const again = await file.daemon.connect();
  await again.call('daemon.hello', { token });
  const run = (source: string, executionId: string) =>
    again.call('session.execute', { sessionId, source, executionId });
  const result = await run('try { await ask() } catch (error) { [error.code, error.details.reason] }', 'cell');
  t.deepEqual(result.value, json(['EFFECT_FAILED', 'unreachable']));
  t.is((await run('await ask()', 'gone')).error?.code, 'EFFECT_FAILED');
  await new ClientFunctions(again).provide(
    sessionId,
    'ask',
    answering(() => 'back'),
  );
  t.deepEqual((await run('await ask()', 'back')).value, json('back'));
  again.close();
});

for (const name of [
  'fetch',
  'decrypt',
  'Response',
  'print',
  'read_file',
  'help',
  '_',
  'globalThis',
  'Array',
  'eval',
  'await',
  'None',
  'constructor',
  '__proto__',
  'a-b',
  '',
  'x'.repeat(65),
  'ä',
  'web_assembly',
  'provided',
]) {
  test(`no function can be called ${JSON.stringify(name.slice(0, 20))}`, async (t) => {
    const session = await file.session({ level: 'restricted' });
    const offer = { sessionId: session.sessionId, name, summary: 'x', parameters: true };
    t.is(await refusalOf(session.client.call('capability.provide', offer)), 'INVALID_PARAMS');
    t.deepEqual(await session.value('1 + 1'), json(2));
  });
}

test('a name that code holds already is not taken from it', async (t) => {
  const { session, sessionId, functions } = await providing();
  await session.run('let mine = "code’s own"');
  await functions.provide(
    sessionId,
    'mine',
    answering(() => 1),
  );
  t.deepEqual(await session.value('mine'), json('code’s own'));
  t.regex((await session.event('log')).text, /mine could not be given/);
});

test('as many as the level allows, and one more is LIMIT_DENIED; one that is withdrawn makes room', async (t) => {
  const { session, sessionId, functions } = await providing();
  for (const name of ['a1', 'a2', 'a3'])
    await functions.provide(
      sessionId,
      name,
      answering(() => name),
    );
  t.is(await refusalOf(functions.provide(sessionId, 'a4', silent)), 'LIMIT_DENIED');
  await session.client.call('capability.withdraw', { sessionId, name: 'a1' });
  await functions.provide(
    sessionId,
    'a4',
    answering(() => 4),
  );
  t.deepEqual(await session.value('await a4()'), json(4));
});

test('a function that is withdrawn rejects as denied, by a saved reference too, and ends its calls', async (t) => {
  const { session, sessionId, functions } = await providing();
  await functions.provide(
    sessionId,
    'once',
    answering(() => 1),
  );
  await session.run('const kept = once; await kept()');
  await session.client.call('capability.withdraw', { sessionId, name: 'once' });
  for (const call of ['once()', 'kept()']) t.is((await session.run(`await ${call}`)).error?.code, 'CAPABILITY_DENIED');
  await file.record('capability.unprovided', (of) => of['sessionId'] === sessionId && of['capability'] === 'once');
  t.is(functions.calls.length, 1);
});

test('a session whose level does not grant it may not be provided with anything', async (t) => {
  for (const params of [{ level: 'sandbox' }, { level: 'standard', capabilities: ['print'] }]) {
    const { sessionId, client } = await file.session(params);
    const offer = { sessionId, name: 'tool', summary: 'x', parameters: true };
    t.is(await refusalOf(client.call('capability.provide', offer)), 'CAPABILITY_DENIED');
  }
});

test('providing, each call and its outcome are in the audit log', async (t) => {
  const { session, sessionId, functions } = await providing();
  await functions.provide(
    sessionId,
    'add',
    answering((a: number, b: number) => a + b),
    ADD,
  );
  await session.run('await add(2, 3)');
  await file.record('capability.provided', (of) => of['sessionId'] === sessionId && of['capability'] === 'add');
  const decision = await file.record('capability.decision', (of) => of['sessionId'] === sessionId);
  t.like(decision.fields, { capability: 'add', verdict: 'allow' });
  const outcome = await file.record('capability.outcome', (of) => of['callId'] === decision.fields['callId']);
  t.like(outcome.fields, { outcome: 'done', capability: 'add' });
  t.true(decision.seq < outcome.seq);
});

test('a schema that is none, or refers outside itself, is refused', async (t) => {
  const { session, sessionId } = await providing();
  const cyclic = { $ref: 'http://127.0.0.1/schema.json' };
  for (const parameters of [
    { type: 'nothing' },
    { type: 'string' },
    { type: 'array', items: cyclic },
    { type: 'array', items: { pattern: '^(a+)+$' } },
  ]) {
    const offer = { sessionId, name: 'tool', summary: 'x', parameters };
    t.is(
      await refusalOf(session.client.call('capability.provide', offer)),
      'INVALID_PARAMS',
      JSON.stringify(parameters),
    );
  }
});
