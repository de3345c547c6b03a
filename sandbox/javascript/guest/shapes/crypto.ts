import type { ShapeGlobals, ShapeParts } from './shape.ts';

/** `hash` takes strings and bytes; the grant of `encrypt` is the functions `encrypt` and `decrypt`, which give bytes. */
export function shapeCrypto({ calls, data, builtins }: ShapeParts): Record<string, ShapeGlobals> {
  const { encoding, toBase64 } = builtins;

  /** A key is named, or is bytes of the caller's own. */
  function keyArgument(key: unknown): unknown {
    const bytes = typeof key === 'object' && key !== null ? encoding.bytesOf(key) : undefined;
    return bytes === undefined ? key : calls.encoded(`{"base64":"${toBase64(bytes)}"}`);
  }
  const cipher = (operation: 'encrypt' | 'decrypt', content: unknown, key: unknown): Promise<unknown> =>
    calls.call(
      'encrypt',
      [operation, data.argument(content, `The data for ${operation}()`), keyArgument(key)],
      data.readBytes,
    );

  return {
    hash: {
      hash: (algorithm: unknown, content: unknown, options: unknown): Promise<unknown> =>
        calls.call('hash', [
          algorithm,
          data.argument(content, 'The data for hash()'),
          data.options(options, 'key', 'hash()'),
        ]),
    },
    encrypt: {
      encrypt: (content: unknown, key: unknown): Promise<unknown> => cipher('encrypt', content, key),
      decrypt: (content: unknown, key: unknown): Promise<unknown> => cipher('decrypt', content, key),
    },
  };
}
