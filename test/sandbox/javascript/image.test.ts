/** Images of JavaScript sessions: what is in one is there again, in another isolate, and what cannot be is refused. */
import test, { type ExecutionContext } from 'ava';
import type { IsolateImage, IsolateSpec, ReplayStep } from '../../../sandbox/protocol.ts';
import { Hosted, PLATFORM, SPEC } from '../_hosted.ts';
import { RecordedLife } from '../_recorded-life.ts';

const host = new Hosted();
test.after.always(() => host.close());

async function value(isolate: string, source: string): Promise<unknown> {
  const { outcome } = await host.run(isolate, source, { outputBytes: 100_000 });
  if (outcome.status === 'value') return JSON.parse(outcome.json);
  if (outcome.status === 'preview') return outcome.text;
  return outcome.status === 'error'
    ? `${outcome.error.name}: ${outcome.error.message}\n${outcome.error.stack}`
    : outcome.by;
}

let isolates = 0;

/** Runs the cells in one isolate, and goes on in another that is made of its image. */
async function goOn(
  t: ExecutionContext,
  cells: readonly string[],
  spec = SPEC,
): Promise<{ next: string; image: IsolateImage; first: RecordedLife }> {
  const first = new RecordedLife(host, `image-${++isolates}`);
  host.open(first.isolate, spec);
  const sources: [number, string][] = [];
  for (const source of cells) {
    const { cell, outcome } = await host.run(first.isolate, source);
    t.false(outcome.status === 'stopped', source);
    sources.push([cell, source]);
  }
  const { image, refused, since } = await host.imageOf(first.isolate);
  t.deepEqual([refused, since], ['', 0], cells.join('\n'));
  const entries = first.records.filter(({ op }) => op !== 'open' && op !== 'reads' && op !== 'torn').length;
  const from = { image: image as string, entries, cells: sources };
  return { next: await openFrom(t, first, from, spec), image: from, first };
}

async function openFrom(
  t: ExecutionContext,
  first: RecordedLife,
  image: IsolateImage,
  spec: IsolateSpec,
): Promise<string> {
  const isolate = `from-${++isolates}`;
  host.tell({ kind: 'isolate.open', isolate, spec, openedMs: first.openedMs, image });
  host.tell({ kind: 'isolate.replay', isolate, steps: [], last: true });
  const { problem } = await host.heard('isolate.replayed', (said) => said.isolate === isolate);
  t.is(problem, null);
  return isolate;
}

/** What is in an isolate, and a question about it that has the same answer in the next. */
const same: [what: string, cells: string[], question: string][] = [
  [
    'primitives',
    [
      'let a = -0, b = NaN, c = 12345678901234567890n, d = undefined, e = null, f = "\\ud800é", g = true, h = -Infinity',
    ],
    '[Object.is(a, -0), Object.is(b, NaN), String(c), typeof d, e, f.charCodeAt(0), f.length, g, h]',
  ],
  [
    'identity and cycles',
    ['const a = { n: 1 }; a.self = a; const b = [a, a]; const m = new Map([[a, b]])'],
    '[a.self === a, b[0] === b[1], m.get(a) === b]',
  ],
  [
    'holes, lengths and names of arrays',
    ['const a = [1, , 3]; a.length = 9; a.more = 2; const f = Object.freeze([1, 2])'],
    '[1 in a, a.length, a.more, Object.isFrozen(f), JSON.stringify(a)]',
  ],
  [
    'properties as they are',
    [
      'const o = {}; Object.defineProperty(o, "hidden", { value: 7 }); o[Symbol.for("r")] = 1; const own = Symbol("own"); o[own] = 2; o.z = 1; o.b = 2; Object.preventExtensions(o)',
    ],
    '[o.hidden, Object.keys(o), o[Symbol.for("r")], o[own], own.description, Object.isExtensible(o), (() => { "use strict"; try { o.hidden = 8 } catch (e) { return e.name } })()]',
  ],
  [
    'dates, patterns, sets and bytes',
    [
      'const d = new Date(86400000), bad = new Date(NaN), r = /a(b)/giy; r.lastIndex = 3; const s = new Set([1, "a", -0]); const u = new Uint8Array([1, 2, 255]), w = new DataView(u.buffer, 1), f = new Float64Array([0.5, NaN]), boxed = Object("text")',
    ],
    '[d.toISOString(), String(bad), r.source, r.flags, r.lastIndex, [...s], [...u], w.getUint8(1), w.buffer === u.buffer, String(f), boxed.length, typeof boxed]',
  ],
  [
    'errors',
    [
      'function fail() { throw new RangeError("no", { cause: new TypeError("why") }) }',
      'let caught; try { fail() } catch (e) { caught = e; e.more = [1] }',
    ],
    '[caught instanceof RangeError, caught.message, caught.cause.message, caught.more, Error.isError(caught), caught.stack.includes("fail")]',
  ],
  [
    'functions',
    [
      'let calls = 0; function count(by = 1) { return calls += by }',
      'const twice = (x) => x * 2; const later = async () => twice(4); const gen = function* (n) { while (n) yield n-- }; const api = { base: 10, add(n) { return this.base + n }, get double() { return this.base * 2 }, async slow() { return 1 } }; count.tag = "t"',
    ],
    '[count(), count(2), twice.name, twice(4), await later(), [...gen(3)], api.add(1), api.double, await api.slow(), count.tag, count.length, String(twice), Object.keys(new count.prototype.constructor)]',
  ],
  [
    'classes and what is made of them',
    [
      'class Point { static made = 0; x = 1; constructor(y) { this.y = y; Point.made++ } get sum() { return this.x + this.y } static of(y) { return new this(y) } }',
      'class Point3 extends Point { z = 3; get sum() { return super.sum + this.z } }; class Bag extends Map { count() { return this.size } }; class Oops extends Error { name = "Oops" }',
      'const p = Point.of(2), q = new Point3(5), bag = new Bag([[1, p]]), oops = new Oops("o"); Point.prototype.extra = 9',
    ],
    '[p.sum, q.sum, q instanceof Point, Point.made, bag.count(), bag.get(1) === p, bag instanceof Bag, String(oops), oops instanceof Oops, p.extra, Object.keys(q), Point3.of(1).sum, p.constructor === Point]',
  ],
  [
    'functions that are strict, and that are not',
    [
      'function outer() { "use strict"; return function () { return this } }',
      'const strict = outer(); function sloppy() { return typeof this }',
    ],
    '[strict() === undefined, sloppy(), String(strict)]',
  ],
  [
    'bytes whose class has getters of its own, which are not run',
    [
      'let runs = 0; class Bytes extends Uint8Array { get buffer() { runs++; return null } get length() { runs++; return 9 } get byteOffset() { runs++; return 9 } }; const b = new Bytes([1, 2]); const s = Object("ab"); s["-1"] = 5',
    ],
    '[runs, b[1], b instanceof Bytes, Object.keys(b), s["-1"], Object.keys(s)]',
  ],
  [
    'functions that inherit in the old way',
    [
      'function Animal(name) { this.name = name } Animal.prototype.hi = function () { return "hi " + this.name }; function Dog() { Animal.call(this, "dog") } Dog.prototype = Object.create(Animal.prototype); Dog.prototype.constructor = Dog; function Cat() {} Cat.prototype = Animal.prototype; const d = new Dog(), c = new Cat()',
    ],
    '[d.hi(), d instanceof Animal, c instanceof Animal, Cat.prototype === Animal.prototype, d.constructor.name, Object.keys(d)]',
  ],
  ['what a cell can ask of the session', ['1; 40', '"last"'], '[_, __]'],
  [
    'constants',
    ['const k = 1; let v = 2; var w = 3'],
    '(() => { try { k = 2 } catch (e) { return [e.name, k, v, w] } })()',
  ],
  [
    'references to the platform',
    [
      'const p = Math.max, proto = Object.create(Array.prototype), it = Symbol.iterator, g = globalThis, logs = { f: print }',
    ],
    '[p(1, 2), proto instanceof Array, [][it] === [][Symbol.iterator], g === globalThis, logs.f === print]',
  ],
  ['the console', ['console.count("a"); console.count("a"); console.group(); 0'], 'console.count("a"); 0'],
];

const lastSaid = (isolate: string): unknown =>
  host.said.flatMap((said) => (said.kind === 'output' && said.isolate === isolate ? [said.text] : [])).at(-1);

for (const [what, cells, question] of same)
  test(`an image holds ${what}`, async (t) => {
    const { next, first } = await goOn(t, cells);
    const expected = await value(first.isolate, question);
    t.notRegex(String(expected), /Error: /);
    t.deepEqual(await value(next, question), expected);
    t.is(lastSaid(next), lastSaid(first.isolate));
  });

test('random numbers, the clock, numbers of timers and calls go on where they were', async (t) => {
  const { next, first } = await goOn(t, ['Math.random(); const id = setTimeout(() => 0, 1); clearTimeout(id); id']);
  const question = '[Math.random(), crypto.randomUUID(), setTimeout(() => 0, 60_000)]';
  t.deepEqual(await value(next, question), await value(first.isolate, question));
});

test('what is thrown in a function of before says where that stood', async (t) => {
  const { next, first } = await goOn(t, [
    'let unused = 1;\n  function fail() {\n    throw new Error("here")\n  }',
    '0; const arrow = () => fail()',
    'class K {\n  m() { return arrow() }\n}',
  ]);
  const thrown = await value(first.isolate, 'new K().m()');
  t.regex(String(thrown), /fail \(cell:\d+:3:11\)[\s\S]*arrow \(cell:\d+:1:24\)[\s\S]*cell:\d+:2:16/);
  const placed = (text: unknown) =>
    String(text)
      .replace(/cell:\d+:1:\d+\n?$/, '')
      .replace(/\n.*$/, (last) => last.replace(/cell:\d+/, 'cell'));
  t.is(placed(await value(next, 'new K().m()')), placed(thrown));
});

for (const liveClock of [false, true])
  test(`what is lived after an image can be lived again from it, ${liveClock ? 'with a live clock' : 'in still time'}`, async (t) => {
    const spec = { ...SPEC, platform: { ...PLATFORM, liveClock } };
    const { image, first } = await goOn(
      t,
      ['let n = Date.now() - Date.now(); const inc = () => ++n; class A { v = inc() }'],
      spec,
    );
    const open = async (name: string, steps: readonly ReplayStep[]): Promise<RecordedLife> => {
      const life = new RecordedLife(host, `${name}-${++isolates}`);
      host.tell({ kind: 'isolate.open', isolate: life.isolate, spec, openedMs: first.openedMs, image });
      host.tell({ kind: 'isolate.replay', isolate: life.isolate, steps, last: true });
      t.is((await host.heard('isolate.replayed', (said) => said.isolate === life.isolate)).problem, null);
      return life;
    };
    const life = await open('lived', []);
    const wait = 'setTimeout(() => { n = 100 }, 5); await new Promise((r) => setTimeout(r, 10)); n';
    const poll = 'const from = Date.now(); let reads = 0; while (reads < 1e5 && Date.now() < from + 3) reads++; reads';
    for (const source of ['new A().v', '[Math.random(), inc(), Date.now()]', wait, poll])
      await host.run(life.isolate, source);
    const again = await open('again', life.steps);
    t.deepEqual(again.words, life.words);
    t.is(await value(again.isolate, 'n'), 100);
  });

const refused: [what: string, cells: string[], reason: string][] = [
  [
    'an error of the platform',
    ['let e; try { atob("?") } catch (error) { e = error }'],
    'it holds an object of the kind DOMException',
  ],
  [
    'more functions than can be looked at',
    ['for (let n = 0; n < 1100; n++) globalThis["f" + n] = eval("() => " + n)'],
    'it holds too many functions',
  ],
  [
    'more than there is room for beside it',
    ['const big = Array.from({ length: 300_000 }, (_, n) => ({ n }))'],
    'it holds too much',
  ],
  [
    'a closure',
    ['const counter = (() => { let n = 0; return () => ++n })()'],
    'it holds a function with variables of its own',
  ],
  [
    'a closure over a block',
    ['{ let hidden = 1; var leaks = () => hidden }'],
    'it holds a function with variables of its own',
  ],
  [
    'a closure that evaluated code has made',
    ['const made = eval("(() => { const n = 1; return () => n })()")'],
    'it holds a function with variables of its own',
  ],
  [
    'an arrow that has its own this',
    ['const o = { f() { return () => this } }; const g = o.f()'],
    'it holds a function that cannot be made of its text alone',
  ],
  [
    'private fields',
    ['class P { #x = 1; get x() { return this.#x } }; const p = new P()'],
    'it holds a function that cannot be made of its text alone',
  ],
  [
    'a class that does something when it is made',
    ['let n = 0; class S { static { n++ } }'],
    'it holds a function that cannot be made of its text alone',
  ],
  ['a bound function', ['const b = print.bind(null)'], 'it holds a function that cannot be made of its text alone'],
  ['a promise', ['const p = Promise.resolve(1); 0'], 'it holds an object of the kind Promise'],
  [
    'a generator under way',
    ['function* g() { yield 1; yield 2 }; const it = g(); it.next().value'],
    'it holds an object of the kind Generator',
  ],
  [
    'a proxy',
    [
      'let traps = 0; const p = new Proxy({}, { ownKeys() { traps++; return [] }, getPrototypeOf() { traps++; return null } }); 0',
    ],
    'it holds a proxy',
  ],
  ['a proxy that can be revoked', ['const { proxy } = Proxy.revocable([], {})'], 'it holds a proxy'],
  ['a weak map', ['const w = new WeakMap()'], 'it holds an object of the kind WeakMap'],
  ['an object of the platform', ['const u = new URL("http://a/")'], 'it holds an object of the kind URL'],
  [
    'a changed built-in',
    ['Array.prototype.last = function () { return this.at(-1) }; 0'],
    'the built-ins were changed',
  ],
  ['a replaced built-in', ['JSON.stringify = JSON.parse; 0'], 'the built-ins were changed'],
  ['a shadowed built-in', ['var parseInt = 1'], 'the built-ins were changed'],
  [
    'an iterator that was tampered with',
    ['Object.getPrototypeOf([][Symbol.iterator]()).next = () => ({ done: true }); 0'],
    'the built-ins were changed',
  ],
  [
    'a class whose parent is another now',
    ['class A {}; class B extends A {}', 'class A {}'],
    'it holds a class that extends another A than that of now',
  ],
  [
    'a class whose method was replaced',
    ['class A { m() { return 1 } }; A.prototype.m = () => 2; 0'],
    'it holds a class whose methods were replaced',
  ],
  [
    'strict code as a whole',
    ['"use strict"; function f() { return this }'],
    'it holds a function that cannot be made of its text alone',
  ],
];

for (const [what, cells, reason] of refused)
  test(`an image of ${what} is refused, and the session goes on`, async (t) => {
    const isolate = `refused-${++isolates}`;
    host.open(isolate);
    for (const source of [...cells, 'var after = 1']) await host.run(isolate, source);
    const { image, refused } = await host.imageOf(isolate);
    t.deepEqual([image, refused], [null, reason]);
    t.is(await value(isolate, 'after + 1'), 2);
    if (what === 'a proxy') t.is(await value(isolate, 'traps'), 0);
    t.deepEqual(
      await value(isolate, 'Object.getOwnPropertyNames(globalThis).filter((name) => name.startsWith("functions"))'),
      [],
    );
  });

test('an image takes what it takes, whatever ended cells may still use', async (t) => {
  const cells = ['const many = Array.from({ length: 40_000 }, (_, n) => ({ n }))'];
  const { next } = await goOn(t, cells, { ...SPEC, backgroundCpuMsMax: 1 });
  t.is(await value(next, 'many.length'), 40_000);
});

test('an image that is of another version, or damaged, is no way to make a session', async (t) => {
  const { image, first } = await goOn(t, ['const x = 1']);
  const bytes = Buffer.from(image.image, 'base64');
  const damaged = Buffer.concat([bytes.subarray(0, 60), Buffer.alloc(30), bytes.subarray(90)]);
  for (const wrong of [Buffer.from(`x${bytes.toString('latin1')}`, 'latin1'), damaged]) {
    const isolate = `wrong-${++isolates}`;
    host.tell({
      kind: 'isolate.open',
      isolate,
      spec: SPEC,
      openedMs: first.openedMs,
      image: { ...image, image: wrong.toString('base64') },
    });
    t.is(
      (await host.heard('isolate.replayed', (said) => said.isolate === isolate)).problem,
      'its image is of another version, or damaged',
    );
  }
});
