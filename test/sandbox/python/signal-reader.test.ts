import test from 'ava';
import { makeSignalReader } from '../../../sandbox/python/guest/signal-reader.ts';

// What is known of WebAssembly to no library of types that this project has.
const { WebAssembly } = globalThis as unknown as {
  readonly WebAssembly: { readonly Memory: new (size: object) => { readonly buffer: SharedArrayBuffer } };
};

test('a signal is taken once, and one that comes after it as well', (t) => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const take = makeSignalReader(memory);
  const bytes = new Uint8Array(memory.buffer);
  bytes.set([0, 7], 0);
  t.is(take(), 0);
  for (const signal of [2, 255]) {
    bytes[0] = signal;
    t.deepEqual([take(), take()], [signal, 0]);
  }
  t.is(bytes[1], 7);
});
