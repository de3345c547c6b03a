import test from 'ava';
import { nearestName, quoted } from '../../policies/nearest-name.ts';

const known = ['input', 'print', 'web_assembly', 'resizable_buffers'];

test('finds the name that was meant', (t) => {
  t.is(nearestName('inptu', known), 'input');
  t.is(nearestName('INPUT', known), 'input');
  t.is(nearestName('webAssembly', known), 'web_assembly');
  t.is(nearestName('resizeable_buffer', known), 'resizable_buffers');
});

test('finds nothing for a name that is like none', (t) => {
  for (const name of ['', 'x', 'subprocess', 'x'.repeat(1e6)]) t.is(nearestName(name, known), null);
});

test('quotes a text in at most a few hundred printable characters', (t) => {
  t.is(quoted('a"b'), '"a\\"b"');
  t.is(quoted('\u202ex\n'), '"\\u{202e}x\\n"');
  t.is(quoted('\ud800'), '"\\ud800"');
  t.true(quoted('\u0000'.repeat(1e6)).length < 500);
});
