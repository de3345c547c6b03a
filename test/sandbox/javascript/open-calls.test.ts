import test from 'ava';
import { OpenCalls } from '../../../sandbox/javascript/open-calls.ts';

test('open calls are bounded in number, and one is settled once', (t) => {
  const calls = new OpenCalls(2, ['input']);
  t.like(calls.open(1, 'input', '[]', 4), { patient: true, origin: 4 });
  t.is(calls.open(1, 'input', '[]', 0), undefined, 'it is open already');
  t.like(calls.open(2, 'other', '[]', 0), { patient: false });
  t.is(calls.open(3, 'other', '[]', 0), undefined);
  t.like(calls.settle(1), { patient: true, origin: 4 });
  t.is(calls.settle(1), undefined);
  t.is(calls.size, 1);
  calls.patient = ['other'];
  t.like(calls.open(3, 'other', '[]', 0), { patient: true });
});

test('open calls are bounded in the length of their arguments, one by one and together', (t) => {
  const calls = new OpenCalls(10, []);
  const mebi = 1024 * 1024;
  t.is(calls.open(1, 'a', ' '.repeat(28 * mebi + 1), 0), undefined);
  t.truthy(calls.open(1, 'a', ' '.repeat(28 * mebi), 0));
  t.truthy(calls.open(2, 'a', ' '.repeat(28 * mebi), 0));
  t.is(calls.open(3, 'a', ' ', 0), undefined);
  calls.settle(1);
  t.truthy(calls.open(3, 'a', ' ', 0));
});
