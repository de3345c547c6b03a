import test from 'ava';
import fc from 'fast-check';
import { cleanAndPoisoned, installHere } from './_guest-realm.ts';

const { TextEncoder: Encoder, TextDecoder: Decoder } = installHere().global;
const text = fc.string({
  unit: fc.oneof(
    fc.constantFrom('a', 'é', '€', '😀', '\ud83d', '\ude00', '\ufeff'),
    fc.string({ unit: 'binary', maxLength: 1 }),
  ),
});
const byte = fc.constantFrom(
  0x41,
  0x7f,
  0x80,
  0x8f,
  0x90,
  0x9f,
  0xa0,
  0xbf,
  0xc0,
  0xc2,
  0xe0,
  0xe1,
  0xed,
  0xef,
  0xbb,
  0xf0,
  0xf1,
  0xf4,
  0xf5,
  0xff,
  0xd8,
  0xdc,
);
const bytes = fc.array(byte, { maxLength: 24 }).map((list) => Uint8Array.from(list));
const outcome = (run: () => unknown) => {
  try {
    return run();
  } catch (error) {
    return (error as Error).name;
  }
};

test('encode gives the UTF-8 of any text, with lone surrogates replaced', (t) => {
  fc.assert(
    fc.property(text, (value) => {
      t.deepEqual(new Encoder().encode(value), new TextEncoder().encode(value));
    }),
  );
  t.is(new Encoder().encode().length, 0);
  t.is(new Encoder().encoding, 'utf-8');
});

test('encodeInto stops before the first character that does not fit', (t) => {
  fc.assert(
    fc.property(text, fc.nat(12), (value, size) => {
      const ours = new Uint8Array(size);
      const platform = new Uint8Array(size);
      t.deepEqual(new Encoder().encodeInto(value, ours), new TextEncoder().encodeInto(value, platform) as never);
      t.deepEqual(ours, platform);
    }),
  );
  t.throws(() => new Encoder().encodeInto('a', new Uint16Array(1)), { instanceOf: TypeError });
});

test('decode replaces ill-formed sequences as the platform does, and refuses them where they are fatal', (t) => {
  for (const encoding of ['utf-8', 'utf-16le', 'utf-16be']) {
    fc.assert(
      fc.property(bytes, fc.boolean(), fc.boolean(), (input, fatal, ignoreBOM) => {
        const ours = outcome(() => new Decoder(encoding, { fatal, ignoreBOM }).decode(input));
        t.is(
          ours,
          outcome(() => new TextDecoder(encoding, { fatal, ignoreBOM }).decode(input)),
        );
      }),
      { numRuns: 300 },
    );
  }
});

test('a stream decodes the same in any chunks', (t) => {
  for (const encoding of ['utf-8', 'utf-16le', 'utf-16be']) {
    fc.assert(
      fc.property(bytes, fc.nat(24), fc.nat(24), (input, a, b) => {
        const decoder = new Decoder(encoding);
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const chunks = [input.subarray(0, from), input.subarray(from, to), input.subarray(to)];
        const decoded = chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join('') + decoder.decode();
        t.is(decoded, new TextDecoder(encoding).decode(input));
        t.is(decoder.decode(input), decoded);
      }),
    );
  }
});

test('windows-1252 and its labels decode every byte', (t) => {
  const all = Uint8Array.from({ length: 256 }, (_, index) => index);
  for (const label of ['latin1', 'iso-8859-1', 'ascii', ' Windows-1252\n']) {
    t.is(new Decoder(label).decode(all), new TextDecoder(label).decode(all));
    t.is(new Decoder(label).encoding, 'windows-1252');
  }
});

test('labels are those of the standard, and others are a RangeError', (t) => {
  for (const [label, encoding] of [
    ['UTF8', 'utf-8'],
    ['\tutf-16 ', 'utf-16le'],
    ['ucs-2', 'utf-16le'],
    ['unicodefffe', 'utf-16be'],
  ]) {
    t.is(new Decoder(label).encoding, encoding);
  }
  for (const label of ['utf-7', '', 'constructor', '__proto__', 'utf_8'])
    t.throws(() => new Decoder(label), { instanceOf: RangeError });
  const decoder = new Decoder('utf-8', { fatal: true, ignoreBOM: true });
  t.deepEqual([decoder.fatal, decoder.ignoreBOM], [true, true]);
});

test('decode takes buffers and views of any kind, and nothing else', (t) => {
  const { buffer } = Uint8Array.from([97, 98, 99, 100]);
  t.is(new Decoder().decode(buffer), 'abcd');
  t.is(new Decoder().decode(new DataView(buffer, 1, 2)), 'bc');
  t.is(new Decoder().decode(new Uint16Array(buffer, 2)), 'cd');
  t.is(new Decoder().decode(new SharedArrayBuffer(1)), '\0');
  t.is(new Decoder().decode(undefined), '');
  for (const wrong of [null, 'a', [97], {}, 5]) t.throws(() => new Decoder().decode(wrong), { instanceOf: TypeError });
  const view = new DataView(buffer);
  const typed = new Uint8Array(buffer);
  structuredClone(buffer, { transfer: [buffer] });
  t.deepEqual(
    [view, typed, buffer].map((input) => new Decoder().decode(input)),
    ['', '', ''],
  );
});

test('long texts survive', (t) => {
  const long = 'aé😀'.repeat(50_000);
  t.is(new Decoder().decode(new Encoder().encode(long)), long);
});

test('encoding works in a poisoned realm', (t) => {
  const { clean, poisoned } = cleanAndPoisoned(
    `const E = TextEncoder; const D = TextDecoder; const a = new Uint8Array(8); const ill = new Uint8Array([0xef, 0xbb, 0xbf, 0xe2, 0x82, 65]);
     const view = new DataView(ill.buffer, 3);`,
    `const b = new E().encode('a\\u00e9\\ud83d\\ude00\\ud800'); const { read, written } = new E().encodeInto('x\\u20acy', a);
     const d = new D('UTF-8'); let out = new D().decode(b) + b[1] + read + written + a[1] + new D().decode(ill) + new D('latin1').decode(view);
     out += d.decode(ill, { stream: true }) + d.decode(); try { new D('utf-8', { fatal: true, ignoreBOM: true }).decode(ill); } catch (error) { out += error.message; }
     try { new D('none'); } catch (error) { out += error.message; } out`,
  );
  t.is(typeof clean, 'string');
  t.is(poisoned, clean);
});
