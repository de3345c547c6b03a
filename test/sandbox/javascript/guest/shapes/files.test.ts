import test from 'ava';
import { CapabilitySession, RawAnswer } from '../../../_capability-session.ts';

const bytes = Buffer.from([0, 1, 2, 250, 255]);
const answers: Record<string, unknown> = {
  '/text': { text: 'héllo' },
  '/bytes': { base64: bytes.toString('base64') },
  '/none': { other: 1 },
  '/bad': { base64: '*' },
  '/broken': new RawAnswer('{"text":'),
};
const session = new CapabilitySession(['read_file', 'write_file'], (name, args) =>
  name === 'read_file' ? answers[args[0] as string] : { bytes: 1 },
);
test.after.always(() => session.close());

test.serial('read_file gives a string for text and a Uint8Array for bytes', async (t) => {
  t.is(await session.run("await read_file('/text', { encoding: 'utf8' })"), 'héllo');
  t.deepEqual(session.calls.at(-1), ['read_file', '/text', { encoding: 'utf8' }]);
  t.deepEqual(
    await session.run("const b = await read_file('/bytes'); [b instanceof Uint8Array, b.buffer.byteLength, ...b]"),
    [true, 5, ...bytes],
  );
});

test.serial('write_file takes a string, a buffer, and the part of one that a view shows', async (t) => {
  const written = async (content: string): Promise<unknown> => {
    t.deepEqual(await session.run(`await write_file('/f', ${content}, { append: true })`), { bytes: 1 });
    return session.calls.at(-1)?.[2];
  };
  t.deepEqual(await written("'h\\u00e9\\u0000'"), { text: 'hé\0' });
  t.deepEqual(await written('new Uint8Array([1, 2, 3]).buffer'), { base64: 'AQID' });
  t.deepEqual(await written('new Uint8Array([0, 1, 2, 3, 0]).subarray(1, 4)'), { base64: 'AQID' });
  t.deepEqual(await written('new DataView(new Uint8Array([0, 1, 2, 3]).buffer, 1)'), { base64: 'AQID' });
  t.deepEqual(await written('new Uint16Array([513])'), { base64: 'AQI=' });
  t.deepEqual(await written('new Uint8Array(0)'), { base64: '' });
  for (const wrong of [
    '5',
    'null',
    '{}',
    '[1]',
    'undefined',
    '{ byteLength: 2 }',
    'new Proxy(new Uint8Array(1), {})',
  ]) {
    t.regex(String(await session.run(`await write_file('/f', ${wrong})`)), /^TypeError: The content for write_file/);
  }
});

test.serial('an answer that is none rejects the call and nothing else', async (t) => {
  for (const path of ['/none', '/bad', '/broken']) {
    t.is(
      await session.run(`await read_file('${path}').catch((error) => [error.code, error.message])`).then(String),
      'INTERNAL,The answer to a call of read_file could not be read.',
    );
  }
  t.is(await session.run("await read_file('/text')"), 'héllo');
});

test.serial('F08: an argument is read once, and what was read is what is sent', async (t) => {
  await session.run(`
    let reads = 0;
    const options = new Proxy({ encoding: 'utf8' }, {
      getOwnPropertyDescriptor: () => ({ value: reads++ === 0 ? 'utf8' : 'bytes', enumerable: true, configurable: true, writable: true }),
    });
    await read_file('/text', options)`);
  t.deepEqual(session.calls.at(-1), ['read_file', '/text', { encoding: 'utf8' }]);
  t.is(await session.run('reads'), 1);
  t.regex(
    String(await session.run("await read_file('/text', { get encoding() { return 'utf8' } })")),
    /^TypeError: Argument 2 of read_file\(\) must be plain JSON data/,
  );
});

test.serial('contents of several MiB come and go whole, and what is too large is refused in words', async (t) => {
  const size = 8 * 1024 * 1024;
  answers['/large'] = { base64: Buffer.alloc(size, 7).toString('base64') };
  t.deepEqual(
    await session.run("const large = await read_file('/large'); [large.length, large.every((byte) => byte === 7)]"),
    [size, true],
  );
  await session.run("await write_file('/f', large)");
  const [, , content] = session.calls.at(-1) as [string, string, { base64: string }];
  t.true(Buffer.from(content.base64, 'base64').equals(Buffer.alloc(size, 7)));
  session.calls.length = 0;
  t.regex(
    String(await session.run("await write_file('/f', new Uint8Array(19e6))")),
    /^RangeError: The arguments of write_file\(\) are longer than 25165824 characters/,
  );
  t.deepEqual(session.calls, []);
});
