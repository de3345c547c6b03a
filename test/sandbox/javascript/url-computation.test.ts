import test from 'ava';
import { computeUrl } from '../../../sandbox/javascript/url-computation.ts';

test('answers the components of a URL as JSON', (t) => {
  t.deepEqual(JSON.parse(computeUrl('url.parse', ['/p?q#h', 'http://u:s@a:81']) ?? ''), {
    href: 'http://u:s@a:81/p?q#h',
    origin: 'http://a:81',
    protocol: 'http:',
    username: 'u',
    password: 's',
    host: 'a:81',
    hostname: 'a',
    port: '81',
    pathname: '/p',
    search: '?q',
    hash: '#h',
  });
  t.is(JSON.parse(computeUrl('url.set', ['http://a/', 'pathname', 'x y']) ?? '').href, 'http://a/x%20y');
});

test('answers null for what is no URL, no component or no argument', (t) => {
  t.is(computeUrl('url.parse', ['nope', '']), null);
  t.is(computeUrl('url.parse', ['http://a']), null);
  t.is(computeUrl('url.parse', ['http://a', '', '']), null);
  t.is(computeUrl('url.parse', [1 as never, '']), null);
  t.is(computeUrl('url.set', ['nope', 'hash', 'x']), null);
  for (const component of ['__proto__', 'href', 'constructor', 'searchParams', 'origin', '']) {
    t.is(computeUrl('url.set', ['http://a/', component, 'x']), null);
  }
});

test('answers up to 64 KiB of input and refuses one more', (t) => {
  const start = 'http://a/';
  t.not(computeUrl('url.parse', [start.padEnd(65_536, 'x'), '']), null);
  t.is(computeUrl('url.parse', [start.padEnd(65_537, 'x'), '']), null);
  t.is(computeUrl('url.parse', [start.padEnd(65_536, 'x'), 'h']), null);
});
