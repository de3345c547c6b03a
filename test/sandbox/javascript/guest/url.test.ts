import test from 'ava';
import fc from 'fast-check';
import { cleanAndPoisoned, installHere } from './_guest-realm.ts';

const { global } = installHere();
const parts = [
  'href',
  'origin',
  'protocol',
  'username',
  'password',
  'host',
  'hostname',
  'port',
  'pathname',
  'search',
  'hash',
];
const show = (url: Record<string, unknown>) => parts.map((part) => `${part}=${url[part]}`);
const inputs = [
  'http://user:pa%20ss@EXAMPLE.com:8080/a/../b/./c?q=1&r=%zz#frag',
  'https://example.com:443',
  'file:///C|/x',
  'data:text/plain,hi   #x',
  'mailto:a@b.c',
  'http://[::1]:3/',
  'http://münchen.de/ü?ü#ü',
  'javascript:alert(1)',
  'HTTP://0x7f.1/',
  'blob:https://a.b/c',
  'http://a/?',
  'http://a/#',
];

test('URL shows the same components as the platform', (t) => {
  for (const input of inputs) t.deepEqual(show(new global.URL(input)), show(new URL(input) as never), input);
  t.is(new global.URL('../x?y', 'http://a/b/c/d').href, 'http://a/b/x?y');
  t.is(`${new global.URL('http://a')}${JSON.stringify(new global.URL('http://a'))}`, 'http://a/"http://a/"');
});

test('URL refuses what does not parse with a TypeError that names the input', (t) => {
  for (const input of ['', 'nope', 'http://', 'http://a b', '//x']) {
    const error = t.throws(() => new global.URL(input), { instanceOf: TypeError, message: 'Invalid URL' });
    t.like(error, { code: 'ERR_INVALID_URL', input });
    t.false(global.URL.canParse(input));
    t.is(global.URL.parse(input), null);
  }
  t.throws(() => new global.URL('http://a', ''), { instanceOf: TypeError });
  t.throws(() => new global.URL(`http://a/${'x'.repeat(65_536)}`), { instanceOf: TypeError });
  t.throws(() => global.URL('http://a'), { instanceOf: TypeError });
  t.true(global.URL.canParse('x', 'http://a'));
  t.is(global.URL.parse('x', 'http://a').href, 'http://a/x');
});

test('every setter of URL does what the platform does', (t) => {
  const values = [
    '',
    'x',
    'https',
    'https:',
    ':81',
    '81',
    '99999',
    '/p/../q',
    '?a=ü',
    '#h',
    'h.example:7',
    'a b',
    'http://q/',
    '\ud800',
  ];
  for (const input of inputs) {
    for (const part of parts.filter((name) => name !== 'origin' && name !== 'href')) {
      for (const value of values) {
        const ours = new global.URL(input);
        const platform = new URL(input) as never as Record<string, string>;
        ours.searchParams;
        void platform.searchParams;
        ours[part] = value;
        platform[part] = value;
        t.deepEqual(show(ours), show(platform), `${input} ${part}=${value}`);
        t.is(`${ours.searchParams}`, `${platform.searchParams}`);
      }
    }
  }
  const url = new global.URL('http://a/?x=1');
  const { searchParams } = url;
  url.href = 'http://b/?y=2';
  t.is(url.searchParams, searchParams);
  t.is(searchParams.get('y'), '2');
  t.throws(() => (url.href = 'nope'), { instanceOf: TypeError });
});

test('searchParams and its URL follow each other', (t) => {
  const url = new global.URL('http://a/p?x=1#h');
  url.searchParams.append('y', "a b&c'");
  t.is(url.href, 'http://a/p?x=1&y=a+b%26c%27#h');
  url.searchParams.delete('x');
  url.searchParams.delete('y');
  t.is(url.href, 'http://a/p#h');
  url.search = '?b=2&a=1';
  url.searchParams.sort();
  t.is(url.search, '?a=1&b=2');
  url.searchParams.set('a', 'ü');
  t.is(url.search, '?a=%C3%BC&b=2');
});

test('a change that would make the URL too long is a RangeError and changes nothing', (t) => {
  const url = new global.URL('http://a/?x=1');
  t.throws(() => url.searchParams.append('y', 'z'.repeat(65_536)), { instanceOf: RangeError });
  t.throws(() => (url.hash = 'z'.repeat(65_536)), { instanceOf: RangeError });
  t.is(url.href, 'http://a/?x=1');
  t.is(url.searchParams.size, 1);
});

test('URLSearchParams takes strings, pairs, records and itself', (t) => {
  const inits = [
    undefined,
    null,
    7,
    '?a=1&a=2&&b&=c&d=',
    '??x',
    [['a', 1], new Set(['b', 'c'])],
    new Map([['m', 'n']]),
    { r: 's', t: undefined },
    new URLSearchParams('q=1'),
    'a=%F0%9F%98%80&b=%ff%C3&c=%u+%2',
  ];
  for (const init of inits) t.is(`${new global.URLSearchParams(init)}`, `${new URLSearchParams(init as never)}`);
  t.is(`${new global.URLSearchParams(new global.URLSearchParams('a=1&b=2'))}`, 'a=1&b=2');
  for (const wrong of [[['a']], [['a', 'b', 'c']], ['ab'], [null], { [Symbol.iterator]: 1 }, { [Symbol('s')]: 1 }]) {
    t.throws(() => new global.URLSearchParams(wrong), { instanceOf: TypeError });
  }
});

test('URLSearchParams parses and writes any text as the platform does', (t) => {
  const text = fc.string({
    unit: fc.oneof(
      fc.constantFrom('%', '+', '&', '=', '?', 'é', '\ud800', '😀', '4', '1', 'F', ' '),
      fc.string({ unit: 'binary', maxLength: 1 }),
    ),
  });
  fc.assert(
    fc.property(text, (query) => {
      const ours = new global.URLSearchParams(query);
      // The standard takes a lone surrogate for U+FFFD. Node now and then misreads what is beyond ASCII, so it is given that in percents.
      const ascii = query.toWellFormed().replaceAll(/[^\0-\x7f]+/g, encodeURIComponent);
      const platform = new URLSearchParams(ascii);
      t.deepEqual([...ours], [...platform]);
      t.is(`${ours}`, `${platform}`);
    }),
  );
});

test('URLSearchParams goes through any series of operations as the platform does', (t) => {
  const word = fc.constantFrom('a', 'b', 'c', 'ü', '');
  const step = fc.tuple(
    fc.constantFrom('append', 'delete', 'delete2', 'set', 'sort', 'has', 'has2', 'get', 'getAll'),
    word,
    word,
  );
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const run = (params: Record<string, (...words: string[]) => unknown>) =>
        steps.map(([name, a, b]) => params[name.replace('2', '')]?.(...(/get|has$|delete$/.test(name) ? [a] : [a, b])));
      const ours = new global.URLSearchParams('a=1&b=2&a=3');
      const platform = new URLSearchParams('a=1&b=2&a=3');
      t.deepEqual(run(ours), run(platform as never));
      t.is(`${ours}`, `${platform}`);
      t.is(ours.size, platform.size);
    }),
  );
});

test('the iterators of URLSearchParams are live and are what the standard says', (t) => {
  const params = new global.URLSearchParams('a=1&b=2');
  t.deepEqual(
    [[...params.keys()], [...params.values()], [...params.entries()]],
    [
      ['a', 'b'],
      ['1', '2'],
      [
        ['a', '1'],
        ['b', '2'],
      ],
    ],
  );
  t.is(params[Symbol.iterator], params.entries);
  const iterator = params.keys();
  t.is(Object.prototype.toString.call(iterator), '[object URLSearchParams Iterator]');
  t.is(iterator[Symbol.iterator](), iterator);
  iterator.next();
  params.append('c', '3');
  t.deepEqual([...iterator.map((name: string) => name)], ['b', 'c']);
  const seen: unknown[] = [];
  params.forEach(function (this: unknown, value: string, name: string, self: unknown) {
    seen.push(this, value, name, self === params);
  }, 'me');
  t.is(seen.length, 12);
  t.throws(() => params.forEach('x'), { instanceOf: TypeError });
  t.throws(() => global.URLSearchParams.prototype.keys.call({}), { instanceOf: TypeError });
});

test('URL and URLSearchParams work in a poisoned realm', (t) => {
  const { clean, poisoned } = cleanAndPoisoned(
    'const A = URL; const P = URLSearchParams;',
    `const u = new A('../b?x=1&y=%C3%BC+z#q', 'http://u:p@h.example:81/a/');
     u.searchParams.append('n', 'a b\\ud83d\\ude00\\ud800'); u.searchParams.set('x', '7'); u.searchParams.delete('none'); u.searchParams.sort();
     u.port = 99; u.pathname = '/é';
     let out = u.href + u.origin + u.searchParams.getAll('n')[0] + u.searchParams.has('y') + A.canParse('x') + A.parse('x');
     u.search = '?k=v&l=w';
     u.searchParams.forEach((value, name) => { out += value + name; });
     const i = u.searchParams.entries(); out += i.next().value[1] + i.next().done + i.next().done;
     const p = new P([['a', 'b'], ['c', 'd']]); p.append('c', 'e');
     out += \`\${p}\${new P(p)}\${new P({ r: "s" })}\${p.size}\`;
     try { new A('nope'); } catch (error) { out += error.message + error.input; }
     out`,
  );
  t.is(typeof clean, 'string');
  t.is(poisoned, clean);
});
