import test from 'ava';
import { PrepareCache } from '../../../sandbox/javascript/prepare-cache.ts';

const none = new Set<string>();

test('gives back what was kept for the language and the source', (t) => {
  const cache = new PrepareCache<'a' | 'b', number>(1000);
  cache.set('a', 'x', none, { assigned: [], value: 1 });
  t.is(cache.get('a', 'x', none), 1);
  t.is(cache.get('b', 'x', none), undefined);
  t.is(cache.get('a', 'y', none), undefined);
});

test('tells apart only the constants that the source assigns to', (t) => {
  const cache = new PrepareCache<'a', number>(1000);
  cache.set('a', 'k = 1', none, { assigned: ['k'], value: 1 });
  t.is(cache.get('a', 'k = 1', new Set(['other'])), 1);
  t.is(cache.get('a', 'k = 1', new Set(['k'])), undefined);
  cache.set('a', 'k = 1', new Set(['k']), { assigned: ['k'], value: 2 });
  t.is(cache.get('a', 'k = 1', new Set(['k', 'other'])), 2);
  t.is(cache.get('a', 'k = 1', none), 1);
});

test('forgets what was not used for longest, and keeps what is used', (t) => {
  const cache = new PrepareCache<'a', number>(20 * 66);
  cache.set('a', '!', none, { assigned: [], value: -1 });
  for (let index = 0; index < 100; index += 1) {
    cache.set('a', String.fromCharCode(1000 + index), none, { assigned: [], value: index });
    t.is(cache.get('a', '!', none), -1);
  }
  const kept = Array.from({ length: 100 }, (_, index) => cache.get('a', String.fromCharCode(1000 + index), none));
  t.is(kept[0], undefined);
  t.true(kept.filter((value) => value !== undefined).length < 20);
});

test('does not keep a source of half its size, and keeps the others then', (t) => {
  const cache = new PrepareCache<'a', number>(1000);
  cache.set('a', 'x', none, { assigned: [], value: 1 });
  cache.set('a', 'y'.repeat(250), none, { assigned: [], value: 2 });
  t.is(cache.get('a', 'y'.repeat(250), none), undefined);
  t.is(cache.get('a', 'x', none), 1);
});
