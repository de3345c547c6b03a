/** Python sessions through a real daemon: what a host keeps apart, and what ends one of them alone. */
import test from 'ava';
import { FileDaemon } from './_file-daemon.ts';

const file = new FileDaemon(test);

test.serial('a session that cannot be stopped is put back to before its cell, and the others go on', async (t) => {
  const [hostile, other] = [await file.session({ language: 'python' }), await file.session({ language: 'python' })];
  await hostile.run('kept = 1');
  await other.run('kept = 2');
  const result = await hostile.run('kept = 3\nsum(range(10**12))', 500);
  t.is(result.status, 'error');
  t.is(result.error?.code, 'TIMED_OUT');
  t.deepEqual(await hostile.value('kept'), { kind: 'json', json: 1 });
  t.deepEqual(await other.value('kept'), { kind: 'json', json: 2 });
  t.is(await file.answersAnother(), 2);
});

test.serial('a loop ends at its time with the session as it was, and Python says what is no JSON', async (t) => {
  const session = await file.session({ language: 'python' });
  await session.run('kept = (1, 2)');
  t.is((await session.run('while True: pass', 300)).error?.code, 'TIMED_OUT');
  t.deepEqual(await session.value('kept'), { kind: 'preview', type: 'tuple', text: '(1, 2)' });
});

test.serial(
  'numbers that JSON does not tell apart come with their repr, and nothing that Python would escape',
  async (t) => {
    const session = await file.session({ language: 'python' });
    t.deepEqual(await session.value('[1.0, {"a": 1e16}, 1e-05, -3]'), {
      kind: 'json',
      json: [1, { a: 1e16 }, 1e-5, -3],
      text: "[1.0, {'a': 1e+16}, 1e-05, -3]",
    });
    t.deepEqual(await session.value('[1, 2.5, "a", None]'), { kind: 'json', json: [1, 2.5, 'a', null] });
    t.deepEqual(await session.value('[1.0, "a\\n"]'), { kind: 'json', json: [1, 'a\n'] });
    t.deepEqual(await session.value('[0.5] * 20000 + [1.0]'), { kind: 'json', json: [...Array(20_000).fill(0.5), 1] });
  },
);

test.serial(
  'a capability of the level is reached through the isolate, and one that is not granted is an unknown name',
  async (t) => {
    const session = await file.session({ language: 'python', level: 'standard' });
    const hashed = await session.value('import js\nawait js.hash("sha256", "abc")');
    t.regex(hashed.kind === 'json' ? String(hashed.json) : hashed.text, /ba7816bf/);
    const { error } = await (await file.session({ language: 'python' })).run('import js\njs.fetch');
    t.is(error?.name, 'AttributeError');
  },
);
