import test, { type ExecutionContext } from 'ava';
import * as v from 'valibot';
import { ProvidedCapabilities, type ProvidedOffer, type Provider } from '../../../daemon/capabilities/provided.ts';
import { Fault } from '../../../daemon/fault.ts';
import { allowed, fakeContext } from './_call-context.ts';

const OFFER: ProvidedOffer = {
  name: 'look_up',
  summary: 'Looks up.',
  parameters: { type: 'array', prefixItems: [{ type: 'string' }], items: false, minItems: 1 },
};
const rules = { countMax: 2, isTaken: (name: string) => ['fetch', 'Headers'].includes(name) };
const constraints = { countMax: 2, timeMsMax: 60_000, bytesMax: 100 };
type Invoke = Provider['invoke'];
const provider = (invoke: Invoke): Provider => ({ invoke });

/** Provides a function that is answered so, and calls it once. */
async function call(
  invoke: Invoke,
  options: {
    offer?: Partial<ProvidedOffer>;
    changes?: Partial<typeof constraints>;
    args?: unknown[];
    signal?: AbortSignal;
  } = {},
): Promise<unknown> {
  const provided = new ProvidedCapabilities();
  const capability = provided.provide({ ...OFFER, ...options.offer }, provider(invoke), rules);
  const context = fakeContext(options.signal ? { signal: options.signal } : {});
  const limits: Readonly<Record<string, unknown>> = { ...constraints, ...options.changes };
  return capability.invoke(allowed('look_up', options.args ?? ['x'], limits), context);
}
const codeOf = async (t: ExecutionContext, calling: Promise<unknown>): Promise<string> => {
  const { code, details } = await t.throwsAsync(calling, { instanceOf: Fault });
  return details?.['reason'] === undefined ? code : `${code} ${details['reason']}`;
};

test('a call goes to the client with its key, and the answer comes back', async (t) => {
  const seen: unknown[] = [];
  const answer = await call(async (callId, name, args) => {
    seen.push(callId, name, args);
    return { found: [1, null] };
  });
  t.deepEqual(answer, { found: [1, null] });
  t.deepEqual(seen, ['ses_test/1', 'look_up', ['x']]);
  t.is(await call(async () => undefined), null);
});

test('to the gate it is a capability like any other, that may be done once only', (t) => {
  const provided = new ProvidedCapabilities();
  provided.provide(
    OFFER,
    provider(async () => 1),
    rules,
  );
  t.deepEqual(provided.names, ['look_up']);
  t.like(provided.named('look_up'), {
    kind: 'effect',
    name: 'look_up',
    idempotent: false,
    patient: false,
    globals: ['look_up'],
  });
  t.is(provided.named('look_up')?.stub, 'async def look_up(arg1: str) -> object: ...');
  t.is(provided.named('toString'), undefined);
});

test('F07: arguments that do not fit the schema never reach the client, and the message names the place', (t) => {
  const provided = new ProvidedCapabilities();
  const list = provided.provide(
    OFFER,
    provider(async () => 1),
    rules,
  );
  t.true(v.is(list.args, ['x']));
  for (const args of [[], [1], ['x', 'y'], { 0: 'x', length: 1 }, 'x', null])
    t.false(v.is(list.args, args), JSON.stringify(args));
  const [issue] = v.safeParse(list.args, [7]).issues ?? [];
  t.regex(issue?.message ?? '', /do not fit: at \/0: .*"number"/);
  const parameters = {
    type: 'object',
    properties: { id: { type: 'integer' } },
    required: ['id'],
    additionalProperties: false,
  };
  const single = provided.provide(
    { ...OFFER, parameters },
    provider(async () => 1),
    rules,
  );
  t.true(v.is(single.args, [{ id: 1 }]));
  for (const args of [[], [{}], [{ id: 1 }, 2], [{ id: '1' }], [{ id: 1, more: 1 }], [[1]]])
    t.false(v.is(single.args, args), JSON.stringify(args));
});

test('B06: an answer with a property called then is data', async (t) => {
  const answer = JSON.parse('{"then":{"x":1},"__proto__":{"polluted":true},"constructor":1}');
  const result = (await call(async () => answer)) as Record<string, unknown>;
  t.is(JSON.stringify(result), JSON.stringify(answer));
  t.not(result, answer);
  t.is(Object.getPrototypeOf(result), Object.prototype);
  t.is((result as { polluted?: unknown }).polluted, undefined);
});

test('an answer that does not fit the other schema, or is no JSON, fails the call', async (t) => {
  const offer = { result: { type: 'object', required: ['n'], properties: { n: { type: 'number' } } } };
  t.deepEqual(await call(async () => ({ n: 1 }), { offer }), { n: 1 });
  t.is(
    await codeOf(
      t,
      call(async () => ({ n: 'x' }), { offer }),
    ),
    'EFFECT_FAILED protocol',
  );
  const circle: unknown[] = [];
  circle.push(circle);
  t.is(
    await codeOf(
      t,
      call(async () => circle),
    ),
    'EFFECT_FAILED protocol',
  );
  t.is(
    await codeOf(
      t,
      call(async () => 1n),
    ),
    'EFFECT_FAILED protocol',
  );
});

test('arguments and answers have as many bytes as the level allows, and not one more', async (t) => {
  t.is(await call(async () => 'x'.repeat(98)), 'x'.repeat(98));
  t.is(
    await codeOf(
      t,
      call(async () => 'x'.repeat(99)),
    ),
    'TOO_LARGE',
  );
  t.is(await call(async () => 1, { args: ['x'.repeat(96)] }), 1);
  t.is(
    await codeOf(
      t,
      call(async () => 1, { args: ['x'.repeat(97)] }),
    ),
    'TOO_LARGE',
  );
});

for (const [what, invoke, code] of [
  [
    'throws at once',
    () => {
      throw new Error('/home/me/secret');
    },
    'EFFECT_FAILED provided',
  ],
  ['rejects with what is no error', () => Promise.reject(null), 'EFFECT_FAILED provided'],
  [
    'rejects with an error of the client',
    () => Promise.reject(new Fault('EFFECT_FAILED', 'no', { reason: 'unreachable' })),
    'EFFECT_FAILED unreachable',
  ],
  ['never settles', () => new Promise(() => undefined), 'TIMED_OUT'],
  [
    'rejects after its time',
    (_id: string, _name: string, _args: unknown, signal: AbortSignal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => setImmediate(() => reject(new Error('late'))))),
    'TIMED_OUT',
  ],
] as [string, Invoke, string][]) {
  test(`F14: a client that ${what} fails the call and nothing else`, async (t) => {
    const calling = call(invoke, { changes: { timeMsMax: 20 } });
    t.is(await codeOf(t, calling), code);
    t.notRegex((await t.throwsAsync(calling)).message, /secret|late/);
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  });
}

test('a call has the time that the client gave it, where the level allows as much', async (t) => {
  const never = (): Promise<never> => new Promise(() => undefined);
  t.is(await codeOf(t, call(never, { offer: { timeoutMs: 10 } })), 'TIMED_OUT');
  t.is(await codeOf(t, call(never, { offer: { timeoutMs: 60_000 }, changes: { timeMsMax: 10 } })), 'TIMED_OUT');
});

test('the end of the session ends the call, and tells the connection', async (t) => {
  const ending = new AbortController();
  const seen: AbortSignal[] = [];
  const calling = call((_id, _name, _args, signal) => new Promise(() => seen.push(signal)), { signal: ending.signal });
  t.false(seen[0]?.aborted);
  ending.abort();
  t.is(await codeOf(t, calling), 'INTERRUPTED');
  t.true(seen[0]?.aborted);
  t.is(
    await codeOf(
      t,
      call(async () => t.fail(), { signal: ending.signal }),
    ),
    'INTERRUPTED',
  );
});

for (const [name, why] of [
  ['fetch', /name of a capability/],
  ['Headers', /name of a capability/],
  ['Promise', /name of a global/],
  ['globalThis', /name of a global/],
  ['undefined', /word|global/],
  ['_', /name of a global/],
  ['await', /word of JavaScript/],
  ['lambda', /word of JavaScript or Python/],
  ['__proto__x-', /letters, digits/],
  ['1a', /a letter or _/],
  ['ünï', /letters, digits/],
  ['', /a name is/],
  ['x'.repeat(65), /up to 63/],
  ['a b', /letters/],
] as const) {
  test(`nothing can be provided as ${JSON.stringify(name.slice(0, 20))}`, (t) => {
    const provided = new ProvidedCapabilities();
    const fault = t.throws(
      () =>
        provided.provide(
          { ...OFFER, name },
          provider(async () => 1),
          rules,
        ),
      { instanceOf: Fault, message: why },
    );
    t.is(fault.code, 'INVALID_PARAMS');
    t.deepEqual(provided.names, []);
  });
}

test('parameters are a list, an object or anything; the schema of anything else is refused', (t) => {
  const provided = new ProvidedCapabilities();
  const provide = (parameters: unknown): unknown =>
    provided.provide(
      { ...OFFER, parameters },
      provider(async () => 1),
      rules,
    );
  t.notThrows(() => provide(true));
  t.true(v.is((provided.named('look_up') as { args: v.GenericSchema }).args, [1, 'x', {}]));
  for (const parameters of [false, { type: 'string' }, {}, { type: ['array'] }, { type: 'array', pattern: 'x' }]) {
    t.is(t.throws(() => provide(parameters), { instanceOf: Fault })?.code, 'INVALID_PARAMS');
  }
});

test('a session has as many as its level allows; providing one again replaces it', (t) => {
  const provided = new ProvidedCapabilities();
  const provide = (name: string): unknown =>
    provided.provide(
      { ...OFFER, name },
      provider(async () => 1),
      rules,
    );
  provide('one');
  provide('two');
  provide('two');
  t.is(t.throws(() => provide('three'), { instanceOf: Fault })?.code, 'LIMIT_DENIED');
  t.deepEqual(provided.names, ['one', 'two']);
  t.true(provided.withdraw('one'));
  provide('three');
  t.true(provided.withdraw('three'));
  t.false(provided.withdraw('three'));
});
