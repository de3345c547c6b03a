import test from 'ava';
import fc from 'fast-check';
import { grantedPath, recordedPath } from '../../../daemon/files/virtual-path.ts';

const grant = { roots: ['workspace', 'data'], blocked: ['.git', '*.pem'] };
const textOf = (path: string) => grantedPath(path, grant)?.text ?? null;

for (const [path, canonical] of [
  ['/', '/'],
  ['/data', '/data'],
  ['/data/', '/data'],
  ['/data/a/b.txt', '/data/a/b.txt'],
  ['/data/./a', '/data/a'],
  ['a.txt', '/workspace/a.txt'],
  ['a/', '/workspace/a'],
  ['.', '/workspace'],
  ['./', '/workspace'],
  ['./a', '/workspace/a'],
  ['~', '/workspace/~'],
  ['%2e%2e%2fetc', '/workspace/%2e%2e%2fetc'],
  ['%252e', '/workspace/%252e'],
  ['..\\..\\etc', '/workspace/..\\..\\etc'],
  ['...', '/workspace/...'],
  ['/data/a b', '/data/a b'],
  [`/data/${'n'.repeat(255)}`, `/data/${'n'.repeat(255)}`],
  [`/data${'/d'.repeat(64)}`, `/data${'/d'.repeat(64)}`],
  [
    `/data${`/${'n'.repeat(255)}`.repeat(15)}/${'n'.repeat(250)}`,
    `/data${`/${'n'.repeat(255)}`.repeat(15)}/${'n'.repeat(250)}`,
  ],
] as const) {
  test(`G02, F13: ${JSON.stringify(path.slice(0, 40))} (${path.length}) is taken literally, in one spelling`, (t) => {
    t.is(textOf(path), canonical);
  });
}

for (const path of [
  '',
  '..',
  '../x',
  '/..',
  '/data/..',
  '/data/../data/a',
  '/data/a/../../x',
  '/data//a',
  '//data/a',
  '/data/a//',
  '/etc/passwd',
  '/proc/self/environ',
  '/Data/a',
  'file:///etc/passwd',
  '/data/a\0b',
  '/data/\ud800',
  '/data/.git/config',
  '/data/.GIT/config',
  '/data/.git./config',
  '/data/x/server.PEM',
  '/data/.pyrepl3-0123',
  '.PyREPL3-x',
  `/data/${'n'.repeat(256)}`,
  `/data/${'é'.repeat(128)}`,
  `/data${'/d'.repeat(65)}`,
  `${'d/'.repeat(64)}d`,
  'x'.repeat(5000),
  `/data${`/${'n'.repeat(255)}`.repeat(15)}/${'n'.repeat(251)}`,
]) {
  test(`G01, F13: ${JSON.stringify(path.slice(0, 40))} (${path.length}) is not granted`, (t) => {
    t.is(grantedPath(path, grant), null);
  });
}

test('nothing is granted without roots but the empty list of them', (t) => {
  const none = { roots: [], blocked: [] };
  t.is(grantedPath('a', none), null);
  t.is(grantedPath('.', none), null);
  t.is(grantedPath('/a', none), null);
  t.is(grantedPath('/', none)?.root, null);
});

test('whatever is granted stays granted, as it is, in its one spelling', (t) => {
  const piece = fc.constantFrom('/', '.', '..', 'a', 'data', 'workspace', '\\', '%2e', '\0', '~', ' ', '.git', 'é');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const granted = grantedPath(pieces.join(''), grant);
      if (granted === null) return;
      t.deepEqual(grantedPath(granted.text, grant), granted);
      t.false(granted.names.some((name) => ['', '.', '..', '.git'].includes(name) || /[/\0]/.test(name)));
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

test('a record shows a path in its one spelling, and one that is no path cut short', (t) => {
  t.is(recordedPath('/data/./a/'), '/data/a');
  t.is(recordedPath('./a'), 'a');
  t.is(recordedPath('/data/../x'), '/data/../x');
  t.is(recordedPath('x'.repeat(5000)).length, 257);
});
