import test from 'ava';
import fc from 'fast-check';
import { LineReader } from '../../daemon/line-reader.ts';

test('lines come out as they were written, wherever the chunks were cut', (t) => {
  const line = fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\n', ''));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), fc.array(fc.nat(20), { maxLength: 30 }), (lines, cuts) => {
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
      const reader = new LineReader(1000);
      const read: string[] = [];
      let from = 0;
      for (const length of [...cuts, bytes.length]) {
        read.push(...(reader.take(bytes.subarray(from, from + length)) ?? ['too long']));
        from = Math.min(bytes.length, from + length);
      }
      t.deepEqual(read, lines);
    }),
  );
});

test('a line of the longest length is read, and one byte more ends the reading, whether its end has come or not', (t) => {
  const exact = new LineReader(4);
  t.deepEqual(exact.take(Buffer.from('abcd\nab')), ['abcd']);
  t.deepEqual(exact.take(Buffer.from('cd\n')), ['abcd']);
  t.is(new LineReader(4).take(Buffer.from('abcde\n')), null);
  const endless = new LineReader(4);
  t.deepEqual(endless.take(Buffer.from('abcd')), []);
  t.is(endless.take(Buffer.from('e')), null);
});
