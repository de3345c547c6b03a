import test from 'ava';
import { checkedGroup, safeId } from '../../../daemon/durability/safe-id.ts';
import { Fault } from '../../../daemon/fault.ts';

test('an id has one length and plain characters, whatever the name', (t) => {
  for (const name of ['a', ':', '\0', 'x'.repeat(1024), '../..', 'ü', ' '])
    for (const kind of ['session', 'promise', 'probe'] as const)
      t.regex(safeId('g', kind, name), /^pyrepl3-[spx]-[0-9a-f]{36}$/);
});

test('names, kinds and groups that differ have ids that differ, and the same have the same', (t) => {
  const ids = [
    safeId('g', 'session', 'a'),
    safeId('g', 'session', 'b'),
    safeId('g', 'promise', 'a'),
    safeId('h', 'session', 'a'),
  ];
  t.is(new Set(ids).size, ids.length);
  t.is(safeId('g', 'session', 'a'), ids[0] as string);
});

test('a name that cannot be one is refused, a group too', (t) => {
  for (const name of ['', 'x'.repeat(1025), '\udc00', null, 7, undefined])
    t.throws(() => safeId('g', 'session', name as string), { instanceOf: Fault });
  for (const group of ['', 'a b', 'a/b', 'x'.repeat(65), 'ü'])
    t.throws(() => checkedGroup('group', group), { instanceOf: Fault });
  t.is(checkedGroup('group', 'x'.repeat(64)).length, 64);
});
