import test from 'ava';
import { CapabilitySession } from '../../../_capability-session.ts';

const session = new CapabilitySession(['hash', 'encrypt'], (name, [, data]) => {
  if (name === 'hash') return 'abcd';
  return (data as { text?: string }).text === 'malformed' ? { text: 'x' } : { base64: 'AQID' };
});
test.after.always(() => session.close());

test.serial('hash takes strings and bytes, and a key of either kind', async (t) => {
  t.is(await session.run("await hash('sha256', 'a')"), 'abcd');
  t.deepEqual(session.calls.at(-1), ['hash', 'sha256', { text: 'a' }]);
  await session.run("await hash('sha256', new Uint8Array([1]), { key: 'k' })");
  t.deepEqual(session.calls.at(-1), ['hash', 'sha256', { base64: 'AQ==' }, { key: { text: 'k' } }]);
  await session.run("await hash('sha256', 'a', { key: new Uint8Array([1]), other: [2] })");
  t.deepEqual(session.calls.at(-1)?.[3], { key: { base64: 'AQ==' }, other: [2] });
  for (const [call, message] of [
    ["hash('sha256', 5)", 'The data for hash() must be a string, an ArrayBuffer or a view of one.'],
    ["hash('sha256', 'a', { key: 5 })", 'The option key of hash() must be a string, an ArrayBuffer or a view of one.'],
    ["hash('sha256', 'a', Object.create({ key: 'k' }))", 'The options of hash() must be a plain object.'],
    ["hash('sha256', 'a', { other: () => 1 })", 'The option other of hash() must be plain JSON data.'],
  ]) {
    t.is(await session.run(`await ${call}`), `TypeError: ${message}`);
  }
});

test.serial('the grant of encrypt is two functions that give bytes', async (t) => {
  t.deepEqual(await session.run("[...await encrypt('a', { secret: 'k' })]"), [1, 2, 3]);
  t.deepEqual(session.calls.at(-1), ['encrypt', 'encrypt', { text: 'a' }, { secret: 'k' }]);
  t.deepEqual(await session.run('[...await decrypt(new Uint8Array([9]), new Uint8Array(2))]'), [1, 2, 3]);
  t.deepEqual(session.calls.at(-1), ['encrypt', 'decrypt', { base64: 'CQ==' }, { base64: 'AAA=' }]);
  t.is(await session.run("await encrypt('malformed', {}).catch((error) => error.code)"), 'INTERNAL');
});

test.serial('F08: a getter among the options is refused, and a Proxy is read once', async (t) => {
  t.is(
    await session.run("await hash('sha256', 'a', { get key() { return 'k' } })"),
    'TypeError: The option key of hash() must be a string, an ArrayBuffer or a view of one.',
  );
  await session.run(`
    let asked = 0;
    await hash('sha256', 'a', new Proxy({ key: 'k' }, {
      getOwnPropertyDescriptor: () => ({ value: asked++ ? 'evil' : 'safe', enumerable: true, configurable: true }),
    }))`);
  t.deepEqual(session.calls.at(-1)?.[3], { key: { text: 'safe' } });
});
