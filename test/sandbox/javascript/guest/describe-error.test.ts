import test from 'ava';
import { makeDescribeError } from '../../../../sandbox/javascript/guest/describe-error.ts';
import { makeInspect } from '../../../../sandbox/javascript/guest/inspect.ts';
import { makeFakeKernel, makeRealm } from './poisoned-realm.ts';

const { kernel } = makeFakeKernel();
const { inspect } = makeInspect(kernel);
const describeError = makeDescribeError(kernel, inspect);
const fail = (): never => {
  throw new Error('hostile');
};

test('describes an error by its name, message, stack, cause, errors and other properties', (t) => {
  const cause = new RangeError('why');
  const error = Object.assign(new TypeError('what', { cause }), { code: 'E1', details: { a: 1 } });
  const described = describeError(error);
  t.like(described, { name: 'TypeError', message: 'what', stack: error.stack as string, thrownType: 'object' });
  t.is(described.props, "{ code: 'E1', details: { a: 1 } }");
  t.like(described.cause, { name: 'RangeError', message: 'why' });
  t.is(described.errors, undefined);

  const aggregate = describeError(new AggregateError([new Error('a'), 'b'], 'many'));
  t.is(aggregate.errors?.length, 2);
  t.like(aggregate.errors?.[0], { name: 'Error', message: 'a' });
  t.like(aggregate.errors?.[1], { name: null, message: 'b', thrownType: 'string' });
});

test('describes what is no error as itself', (t) => {
  const cases: [unknown, string, string][] = [
    ['boom', 'boom', 'string'],
    [undefined, 'undefined', 'undefined'],
    [null, 'null', 'object'],
    [42, '42', 'number'],
    [1n, '1n', 'bigint'],
    [Symbol('x'), 'Symbol(x)', 'symbol'],
    [{ code: 1, message: 'm' }, "{ code: 1, message: 'm' }", 'object'],
    [() => 1, '[Function (anonymous)]', 'function'],
    [
      {
        get message() {
          return fail();
        },
      },
      '{ message: [Getter] }',
      'object',
    ],
    [new Proxy({}, { ownKeys: fail, getPrototypeOf: fail }), '[unprintable]', 'object'],
  ];
  for (const [thrown, message, thrownType] of cases) {
    t.deepEqual({ ...describeError(thrown) }, { name: null, message, stack: '', thrownType });
  }
});

test('falls back where parts of an error cannot be read', (t) => {
  const hostile = Object.defineProperties(new Error('m'), {
    name: { get: fail },
    message: { get: fail },
    stack: { get: fail },
    cause: { get: fail },
    errors: { get: fail },
  });
  const described = describeError(hostile);
  t.like(described, { name: 'Error', message: '', stack: 'Error', thrownType: 'object' });
  t.like(described.cause, { name: null, message: 'undefined' });

  const odd = Object.assign(new Error('m'), { name: 5, message: { a: 1 }, stack: 7 });
  t.like(describeError(odd), { name: 'Error', message: '{ a: 1 }', stack: 'Error: { a: 1 }' });
  t.is(describeError(Object.create(Error.prototype)).name, 'Error');
  t.is(describeError(new Proxy(new Error('m'), { get: fail, getPrototypeOf: fail })).thrownType, 'object');
  t.like(describeError(new DOMException('late', 'TimeoutError')), { name: 'TimeoutError', message: 'late' });
});

test('reads the stack once', (t) => {
  let reads = 0;
  const error = Object.defineProperty(new Error('m'), 'stack', { get: () => `stack ${++reads}` });
  t.is(describeError(error).stack, 'stack 1');
  t.is(reads, 1);
});

test('keeps every text within its limit and the frames in sight', (t) => {
  const huge = 'x'.repeat(2 ** 28);
  const error = new Error('m');
  error.message = huge;
  error.name = huge;
  error.stack = `${huge}\n    at cell:1:1`;
  const described = describeError(Object.assign(error, { huge, more: Array(1e5).fill(huge) }));
  t.is(described.name?.length, 256);
  t.is(described.message.length, 8192);
  t.true(described.stack.length <= 16_384);
  t.true(described.stack.endsWith('…\n    at cell:1:1'));
  t.true((described.props as string).length < 4200);
  error.stack = huge;
  t.is(describeError(error).stack.length, 16_384);
  t.is(describeError(huge).message.length, 8192);
  t.true(describeError({ huge }).message.length <= 8192);
});

test('follows causes four levels deep and shows ten errors at most', (t) => {
  const cyclic: Error = new Error('cyclic');
  cyclic.cause = cyclic;
  t.is(describeError(cyclic).cause?.cause?.cause?.message, 'cyclic');
  t.is(describeError(cyclic).cause?.cause?.cause?.cause, undefined);

  t.is(describeError(new AggregateError(Array(50).fill('e'))).errors?.length, 10);
  const wide = (levels: number): Error =>
    new AggregateError(levels === 0 ? [] : Array.from({ length: 10 }, () => wide(levels - 1)));
  let count = 0;
  const walk = (error: ReturnType<typeof describeError>): void => {
    count += 1;
    for (let i = 0; i < (error.errors?.length ?? 0); i++) walk(error.errors?.[i] as typeof error);
  };
  walk(describeError(wide(4)));
  t.true(count <= 24);
});

test('describes the same in an isolate whose every built-in is poisoned', (t) => {
  const { evaluate, poison } = makeRealm({ makeInspect, makeDescribeError });
  evaluate(`
    var subject = (() => {
      const describeError = makeDescribeError(kernel, makeInspect(kernel).inspect);
      const error = new TypeError('what', { cause: new RangeError('why') });
      error.code = { a: [1, 2] };
      error.stack = 'TypeError: what\\n    at cell:1:1';
      error.name = 'TypeError';
      error.cause.name = 'RangeError';
      error.cause.stack = 'RangeError: why';
      const many = new AggregateError([error, 'b'], 'many');
      many.name = 'Many';
      many.stack = 'Many: many';
      const values = [error, many, 'text', 1n, Symbol('x'), { a: 1 }, null];
      const count = values.length;
      values[count] = 0;
      const show = (d) => d === undefined ? '' : '<' + d.name + '|' + d.message + '|' + d.stack + '|' + d.thrownType + '|' + d.props + show(d.cause) +
        (d.errors === undefined ? '' : show(d.errors[0]) + show(d.errors[1])) + '>';
      return () => {
        let text = '';
        for (let i = 0; i < count; i++) text += show(describeError(values[i])) + '\\n';
        return text;
      };
    })();
  `);
  const before = evaluate('subject()');
  t.true(
    (before as string).startsWith(
      '<TypeError|what|TypeError: what\n    at cell:1:1|object|{ code: { a: [ 1, 2 ] } }<RangeError|why|',
    ),
  );
  poison();
  t.is(evaluate('subject()'), before);
});
