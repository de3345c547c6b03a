import test from 'ava';
import fc from 'fast-check';
import {
  hostRuleAllows,
  hostRuleAllowsHost,
  hostRuleCovers,
  hostRuleNamesPort,
  hostRuleProblem,
} from '../../policies/host-rule.ts';

/** What the rule is asked about, as a request's URL is taken apart. */
function allows(rule: string, text: string): boolean {
  const url = new URL(text);
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return hostRuleAllows(rule, { host: url.hostname, port, path: url.pathname });
}

for (const rule of [
  '*',
  '*:*',
  'example.com',
  'Example.COM.',
  '*.example.com',
  'example.com:8443',
  'example.com:*',
  'example.com/public/*',
  '*.example.org:8443/public/*',
  'example.com/',
  'xn--bcher-kva.example',
  '127.0.0.1:8080',
  '[::1]:8080/x',
  '_service.example.com',
  'localhost',
]) {
  test(`takes ${rule} as a rule`, (t) => t.is(hostRuleProblem(rule), null));
}

for (const [rule, problem] of [
  ['', /host\[:port\]/],
  ['https://example.com', /host\[:port\]|port/],
  ['example.com?x', /host\[:port\]/],
  ['user@example.com', /host\[:port\]/],
  ['exa mple.com', /host\[:port\]/],
  ['.example.com', /host\[:port\]/],
  ['a..example.com', /host\[:port\]/],
  ['[::1', /host\[:port\]/],
  ['a*.example.com', /stands alone/],
  ['*.*.example.com', /stands alone/],
  ['*.127.0.0.1', /no names below/],
  ['bücher.example', /write it as xn--bcher-kva\.example/],
  ['*.bücher.example', /write it as \*\.xn--bcher-kva\.example/],
  ['127.1', /write it as 127\.0\.0\.1/],
  ['0x7f000001', /write it as 127\.0\.0\.1/],
  ['[0:0:0:0:0:0:0:1]', /write it as \[::1\]/],
  ['example.com:0', /a port is 1 to 65535/],
  ['example.com:65536', /a port is 1 to 65535/],
  ['example.com:08', /a port is 1 to 65535/],
  ['example.com:', /a port is 1 to 65535/],
  ['example.com/a?b', /no \?/],
  ['example.com/a*b', /only at the end/],
  ['example.com/a/../b', /no "\.\."/],
  ['example.com/a/%2e%2E/b', /no "\.\."/],
  ['example.com/a b', /write the path as \/a%20b/],
] as const) {
  test(`says what is wrong with ${JSON.stringify(rule)}`, (t) => t.regex(hostRuleProblem(rule) ?? 'nothing', problem));
}

test('H09: names are compared label by label', (t) => {
  t.true(allows('example.com', 'https://example.com/'));
  t.true(allows('example.com', 'https://EXAMPLE.com./'));
  for (const host of ['evilexample.com', 'example.com.evil.net', 'a.example.com', 'example.co', 'xample.com']) {
    t.false(allows('example.com', `https://${host}/`), host);
  }
  t.true(allows('*.example.com', 'https://a.example.com/'));
  t.true(allows('*.example.com', 'https://a.b.example.com/'));
  for (const host of ['example.com', 'evilexample.com', 'a.example.com.evil.net', 'example.com.a']) {
    t.false(allows('*.example.com', `https://${host}/`), host);
  }
});

test('H09: other spellings of a host are brought to one before they are compared', (t) => {
  t.true(allows('127.0.0.1', 'http://0x7f.1/'));
  t.true(allows('xn--bcher-kva.example', 'http://bücher.example/'));
  t.true(allows('[::1]', 'http://[0:0::1]/'));
  t.true(allows('*', 'http://[::1]/'));
});

test('H12: a rule without a port stands for 80 and 443 alone, and one with a port for that alone', (t) => {
  t.true(allows('example.com', 'http://example.com/'));
  t.true(allows('example.com', 'https://example.com/'));
  t.false(allows('example.com', 'https://example.com:8443/'));
  t.false(allows('*', 'http://example.com:22/'));
  t.true(allows('example.com:8443', 'https://example.com:8443/'));
  t.false(allows('example.com:8443', 'https://example.com/'));
  t.false(allows('example.com:443', 'http://example.com/'));
  t.true(allows('example.com:*', 'http://example.com:1/'));
});

test('a path is exact, or a prefix where it ends in a star', (t) => {
  t.true(allows('example.com/a', 'https://example.com/a?b#c'));
  t.false(allows('example.com/a', 'https://example.com/a/'));
  t.false(allows('example.com/', 'https://example.com/a'));
  t.true(allows('example.com/a/*', 'https://example.com/a/'));
  t.true(allows('example.com/a/*', 'https://example.com/a/b/c'));
  t.false(allows('example.com/a/*', 'https://example.com/a'));
  t.false(allows('example.com/a/*', 'https://example.com/A/b'));
});

for (const path of [
  '/a/../b',
  '/a/%2e%2e/b',
  '/a/..%2fb',
  '/a/%2e%2e%2fb',
  '/a/..%5cb',
  '/a/..\\b',
  '/a/..;/b',
  '/a/..;x=1/b',
  '/a/%252e%252e%252fb',
  '/a/%25%32%65%2e/b',
]) {
  test(`H06: ${path} does not leave the folder of a prefix rule`, (t) => {
    t.false(allows('example.com/a/*', `https://example.com${path}`));
    t.true(allows('example.com', `https://example.com${path}`));
  });
}

test('dots that are part of a name are no way out', (t) => {
  t.true(allows('example.com/a/*', 'https://example.com/a/..b/c..'));
  t.true(allows('example.com/a/*', 'https://example.com/a/100%/%zz'));
});

test('for looking a name up, only the host of a rule counts', (t) => {
  t.true(hostRuleAllowsHost('example.com:8443/x', 'Example.com.'));
  t.true(hostRuleAllowsHost('*.example.com', 'a.example.com'));
  t.false(hostRuleAllowsHost('*.example.com', 'example.com'));
});

test('tells whether a rule names a port', (t) => {
  t.true(hostRuleNamesPort('a:80'));
  t.true(hostRuleNamesPort('[::1]:*'));
  t.false(hostRuleNamesPort('[::1]'));
  t.false(hostRuleNamesPort('a/b:1'));
});

for (const [wider, narrower, expected] of [
  ['*', 'example.com', true],
  ['*', '*.example.com', true],
  ['*', 'example.com:8443', false],
  ['*:*', 'example.com:8443/x', true],
  ['example.com', '*', false],
  ['*.example.com', 'example.com', false],
  ['*.example.com', '*.a.example.com', true],
  ['*.a.example.com', '*.example.com', false],
  ['example.com', 'example.com:443', true],
  ['example.com:443', 'example.com', false],
  ['example.com', 'example.com:*', false],
  ['example.com', 'example.com/a', true],
  ['example.com/a', 'example.com', false],
  ['example.com/a*', 'example.com/a/b*', true],
  ['example.com/a*', 'example.com/ab', true],
  ['example.com/a', 'example.com/a*', false],
  ['example.com/a/*', 'example.com/a*', false],
  ['EXAMPLE.com.', 'example.com', true],
] as const) {
  test(`${wider} ${expected ? 'covers' : 'does not cover'} ${narrower}`, (t) => {
    t.is(hostRuleCovers(wider, narrower), expected);
  });
}

const labels = fc.constantFrom('a', 'b', 'a.b', 'b.a', 'a.a.b');
const paths = fc.constantFrom('/', '/a', '/a/', '/a/b', '/a/b/c', '/a/..%2fb');
const rules = fc
  .tuple(
    fc.oneof(
      fc.constant('*'),
      labels,
      labels.map((name) => `*.${name}`),
    ),
    fc.constantFrom('', ':80', ':443', ':8443', ':*'),
    fc.oneof(
      fc.constant(''),
      paths,
      paths.map((path) => `${path}*`),
    ),
  )
  .map((parts) => parts.join(''))
  .filter((rule) => hostRuleProblem(rule) === null);
const targets = fc.record({ host: labels, port: fc.constantFrom(80, 443, 8443, 22), path: paths });

test('whatever a narrower rule allows, every rule that covers it allows too', (t) => {
  let covered = 0;
  fc.assert(
    fc.property(rules, rules, targets, (wider, narrower, target) => {
      if (!hostRuleCovers(wider, narrower)) return true;
      covered++;
      return !hostRuleAllows(narrower, target) || hostRuleAllows(wider, target);
    }),
    { numRuns: 20_000 },
  );
  t.true(covered > 100);
});

test('a rule covers itself, and no text makes it throw', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.webUrl({ withQueryParameters: true }), (rule, text) => {
        const problem = hostRuleProblem(rule);
        allows(rule, text);
        return problem !== null || hostRuleCovers(rule, rule);
      }),
    ),
  );
});
