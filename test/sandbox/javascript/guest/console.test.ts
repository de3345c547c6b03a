import { Console } from 'node:console';
import { Writable } from 'node:stream';
import test from 'ava';
import { makeConsole } from '../../../../sandbox/javascript/guest/console.ts';
import { makeInspect } from '../../../../sandbox/javascript/guest/inspect.ts';
import { makeFakeKernel, makeRealm } from './poisoned-realm.ts';

type AnyConsole = Record<string, (...values: unknown[]) => void>;

function makeBoth() {
  const { kernel, written, installed } = makeFakeKernel();
  makeConsole(kernel, makeInspect(kernel));
  let expected = '';
  const sink = (stream: string) =>
    new Writable({
      decodeStrings: false,
      write(chunk, _, done) {
        expected += `${stream} ${chunk}`;
        done();
      },
    });
  const node = new Console(sink('stdout'), sink('stderr')) as unknown as AnyConsole;
  const ours = installed.get('console') as AnyConsole;
  /** What both print for the same calls. */
  const compare = (run: (c: AnyConsole) => void): [string, string] => {
    expected = '';
    run(ours);
    run(node);
    return [written(), expected];
  };
  return { kernel, ours, written, installed, compare };
}

test('prints what the console of Node prints', (t) => {
  const { compare } = makeBoth();
  const runs: ((c: AnyConsole) => void)[] = [
    (c) => c.log?.('a %s', 'b', { c: 1 }),
    (c) => c.log?.(),
    (c) => c.info?.(1, 'x'),
    (c) => c.debug?.([1]),
    (c) => c.warn?.('w'),
    (c) => c.error?.({ e: 1 }),
    (c) => c.assert?.(true, 'no'),
    (c) => c.assert?.(false),
    (c) => c.assert?.(0, 'because %s', 'x'),
    (c) => c.assert?.(false, { a: 1 }),
    (c) => c.dir?.({ a: { b: { c: { d: 1 } } } }, { depth: 0 }),
    (c) => c.dir?.({ a: { b: { c: { d: 1 } } } }),
    (c) => c.dirxml?.({ a: 1 }, [2]),
    (c) => {
      c.count?.();
      c.count?.('x');
      c.count?.();
      c.countReset?.();
      c.count?.();
    },
    (c) => {
      c.group?.('outer');
      c.log?.('one\ntwo');
      c.groupCollapsed?.();
      c.error?.({ a: 'x'.repeat(60), b: 'y'.repeat(60) });
      c.groupEnd?.();
      c.log?.('back');
      c.groupEnd?.();
      c.groupEnd?.();
      c.log?.('out');
    },
  ];
  for (const run of runs) {
    const [actual, expected] = compare(run);
    t.is(actual, expected);
  }
});

test('draws tables as Node does', (t) => {
  const { compare } = makeBoth();
  const tables: [unknown, string[]?][] = [
    [[1, 'two', { a: 3 }]],
    [
      [
        { a: 1, b: 'x' },
        { b: 2, c: [1, 2] },
      ],
    ],
    [[{ a: 1, b: 2 }, { a: 3 }, 5], ['b']],
    [
      [
        [1, 2],
        [3, 4, 5],
      ],
    ],
    [{ x: { y: 1 }, z: 'v', n: null }],
    [
      new Map<unknown, unknown>([
        ['k', { a: 1 }],
        [{ b: 1 }, 2],
      ]),
    ],
    [new Set(['a', { b: 1, c: 2, d: 3 }])],
    [[]],
    [{}],
    ['text'],
    [undefined],
    [null],
    [['日本', 'é']],
  ];
  for (const [value, columns] of tables) {
    const [actual, expected] = compare((c) => (columns === undefined ? c.table?.(value) : c.table?.(value, columns)));
    t.is(actual, expected);
  }
});

test('bounds tables and never invokes getters in them', (t) => {
  const { ours, written } = makeBoth();
  ours.table?.(Array.from({ length: 1500 }, (_, i) => i));
  t.true(written().endsWith('... 500 more rows\n'));
  ours.table?.(new Set(Array.from({ length: 1001 }, (_, i) => i)));
  t.true(written().endsWith('... 1 more rows\n'));
  ours.table?.([
    {
      get a() {
        throw new Error('invoked');
      },
    },
  ]);
  t.true(written().includes('[Getter]'));
  ours.table?.(
    new Proxy(
      {},
      {
        ownKeys() {
          throw new Error('trap');
        },
      },
    ),
  );
  t.is(written(), 'stdout [unprintable]\n');
  const wide = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`k${i}`, i]));
  ours.table?.([wide]);
  t.false(written().includes('k64'));
});

test('times on the clock of the session', (t) => {
  const { kernel, ours, written } = makeBoth();
  ours.time?.();
  ours.timeEnd?.();
  t.is(written(), 'stdout default: 0ms\n');
  ours.time?.('a');
  kernel.clock.nowMs += 1234;
  ours.timeLog?.('a', 'x', { b: 1 });
  kernel.clock.nowMs += 60_000;
  ours.timeLog?.('a');
  kernel.clock.nowMs += 3_600_000;
  ours.timeEnd?.('a');
  t.is(written(), 'stdout a: 1.234s x { b: 1 }\nstdout a: 1:01.234 (m:ss.mmm)\nstdout a: 1:01:01.234 (h:mm:ss.mmm)\n');
  ours.timeEnd?.('a');
  ours.time?.('b');
  ours.time?.('b');
  ours.countReset?.('none');
  t.is(
    written(),
    "stderr Warning: No such label 'a' for console.timeEnd()\nstderr Warning: Label 'b' already exists for console.time()\n" +
      "stderr Warning: Count for 'none' does not exist\n",
  );
});

test('bounds labels and indentation', (t) => {
  const { ours, written } = makeBoth();
  for (let i = 0; i < 1000; i++) {
    ours.count?.(i);
    ours.time?.(i);
  }
  written();
  ours.count?.('one more');
  ours.time?.('one more');
  t.regex(written(), /^stderr Warning: More than 1000 labels.*\nstderr Warning: More than 1000 labels.*\n$/);
  for (let i = 0; i < 100; i++) ours.group?.();
  ours.log?.('deep');
  t.is(written(), `stdout ${' '.repeat(64)}deep\n`);
  for (let i = 0; i < 100; i++) ours.groupEnd?.();
  ours.log?.('flat');
  t.is(written(), 'stdout flat\n');
});

test('traces with the frames of the guest and none of its own', (t) => {
  const { evaluate } = makeRealm({ makeInspect, makeConsole });
  evaluate('makeConsole(kernel, makeInspect(kernel))');
  evaluate('function outer() { console.trace("at %d", 1); }\nouter(); (() => console.trace())();');
  const text = evaluate('written') as string;
  t.regex(text, /^stderr Trace: at 1\n {4}at outer \(cell-1:1:\d+\)\n {4}at cell-1:2:\d+\n/);
  t.regex(text, /\nstderr Trace\n {4}at cell-1:2:\d+\n/);
  t.false(text.includes('pyrepl3:'));
});

test('needs no receiver, installs print and never throws for what it is given', (t) => {
  const { ours, installed, written } = makeBoth();
  const { log, table, count, time } = ours;
  log?.(1);
  (installed.get('print') as (...values: unknown[]) => void)('a', { b: 1 });
  t.is(written(), 'stdout 1\nstdout a { b: 1 }\n');
  const hostile = {
    toString() {
      throw new Error('no');
    },
  };
  count?.(hostile);
  count?.(Symbol('s'));
  t.is(written(), 'stdout [unprintable]: 1\nstdout Symbol(s): 1\n');
  t.notThrows(() => {
    time?.(hostile);
    ours.timeEnd?.(hostile);
    log?.('%s', hostile);
    ours.assert?.(false, hostile);
    ours.group?.(hostile);
    ours.groupEnd?.();
    ours.trace?.(hostile);
    ours.dir?.(
      hostile,
      new Proxy(
        {},
        {
          getOwnPropertyDescriptor() {
            throw new Error('trap');
          },
        },
      ),
    );
    table?.([hostile], hostile);
    for (const name of ['clear', 'timeStamp', 'profile', 'profileEnd']) ours[name]?.(hostile);
  });
  t.is(Object.prototype.toString.call(ours), '[object console]');
});

test('prints the same in an isolate whose every built-in is poisoned', (t) => {
  const { evaluate, poison } = makeRealm({ makeInspect, makeConsole });
  evaluate(`
    makeConsole(kernel, makeInspect(kernel));
    var subject = ((c, print) => {
      const map = new Map([['k', { a: 1 }]]), set = new Set([1]), rows = [{ a: 1, b: 'x' }, { a: 2 }, 3], columns = ['a'];
      return () => {
        written = '';
        c.log('a %s', 'b', rows); c.error(map); print('p', set); c.assert(false, 'no'); c.assert(false, rows); c.dir(rows, { depth: 0 });
        c.group('g'); c.warn('one\\ntwo'); c.groupEnd();
        c.table(rows); c.table(rows, columns); c.table(map); c.table(set); c.table(1);
        c.count('n'); c.countReset('n'); c.time('t'); c.timeLog('t', 1, 'x'); c.timeEnd('t'); c.timeEnd('t');
        return written;
      };
    })(console, print);
  `);
  const before = evaluate('subject()');
  t.true((before as string).includes('│ (index) │ a │ b   │ Values │'));
  poison();
  t.is(evaluate('subject()'), before);
});
