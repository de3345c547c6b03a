import test from 'ava';
import fc from 'fast-check';
import { nameGlobMatches, nameGlobProblem } from '../../policies/name-glob.ts';

for (const [glob, name] of [
  ['.git', '.git'],
  ['.git', '.GIT'],
  ['*.pem', 'server.pem'],
  ['*.pem', '.pem'],
  ['*.PEM', 'Server.Pem'],
  ['id_*', 'id_rsa'],
  ['?.txt', 'a.txt'],
  ['?.txt', '😀.txt'],
  ['a*b*c', 'aXbYbZc'],
  ['*', 'anything'],
  ['secret', 'secret.'],
  ['secret', 'secret . .'],
  ['*.key', 'a.key '],
  ['foo.', 'foo.'],
  ['caf\u00e9', 'cafe\u0301'],
  ['cafe\u0301', 'CAF\u00c9'],
  ['stra\u00dfe', 'STRASSE'],
  ['STRASSE', 'stra\u00dfe'],
  ['.git', '.g\u200cit'],
  ['.git', '\ufeff.git'],
  ['key', '\u212aey'],
  ['secret', '\u017fecret'],
] as const) {
  test(`F13: ${JSON.stringify(glob)} matches ${JSON.stringify(name)}`, (t) => {
    t.true(nameGlobMatches(glob, name));
  });
}

for (const [glob, name] of [
  ['.git', 'git'],
  ['.git', '.gitignore'],
  ['*.pem', 'pem'],
  ['*.pem', 'a.pem.txt'],
  ['?.txt', '.txt'],
  ['?.txt', 'ab.txt'],
  ['a*b', 'abc'],
  ['.git', '%2egit'],
  ['a.c', 'abc'],
  ['(a+)+$', 'aaaa'],
] as const) {
  test(`F13: ${JSON.stringify(glob)} does not match ${JSON.stringify(name)}`, (t) => {
    t.false(nameGlobMatches(glob, name));
  });
}

for (const glob of ['.git', '*.pem', '?', '*', 'a b', '~', '%2e', '日本*'])
  test(`F13: ${JSON.stringify(glob)} is a glob for names`, (t) => {
    t.is(nameGlobProblem(glob), null);
  });

for (const [glob, what] of [
  ['', /empty/],
  ['a/b', /one segment/],
  ['/etc', /one segment/],
  ['../x', /one segment/],
  ['**', /matched at every depth/],
  ['**.pem', /matched at every depth/],
  ['*.{pem,key}', /one entry for each/],
  ['[ab]', /one entry for each/],
  ['!x', /one entry for each/],
  ['a\\*', /one entry for each/],
  ['..', /dots and spaces/],
  ['.', /dots and spaces/],
  [' ', /dots and spaces/],
  ['\u200b', /seen/],
  ['a\0b', /NUL/],
  ['\ud800', /Unicode/],
  ['x'.repeat(256), /at most 255/],
] as const) {
  test(`F13: ${JSON.stringify(glob.slice(0, 20))} is refused with what to do`, (t) => {
    t.regex(nameGlobProblem(glob) ?? '', what);
  });
}

test('C10: a glob of 127 stars is matched with a hostile name as soon as with any other', (t) => {
  t.false(nameGlobMatches('*a'.repeat(127), `${'a'.repeat(50_000)}b`));
  t.true(nameGlobMatches('*a'.repeat(127), 'a'.repeat(50_000)));
});

test('a name that a glob was cut out of is matched by it', (t) => {
  const letters = fc.stringMatching(/^[a-z.]{1,12}$/);
  fc.assert(
    fc.property(letters, letters, letters, (before, within, after) => {
      t.true(nameGlobMatches(`${before}*${after}`, before + within + after));
      t.true(nameGlobMatches(before.replace(/./gu, '?'), before));
    }),
  );
  t.pass();
});
