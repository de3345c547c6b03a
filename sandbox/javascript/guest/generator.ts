/** A source of random bits that is a pure function of its seed and of what was mixed into it. */
export interface Generator {
  /** The next 32 bits, an integer from 0 to 2^32 - 1. */
  readonly random32: () => number;
  /** Folds more entropy (hexadecimal digits) into the state. What came before still counts. */
  readonly mix: (entropyHex: string) => void;
  readonly state: () => string;
  /** Goes on as the generator did whose `state` that is. */
  readonly resume: (state: string) => void;
}

/**
 * Makes an sfc32 generator (Chris Doty-Humphrey, PractRand) from a seed of 32 hexadecimal digits (128 bits; shorter and longer
 * seeds are folded). Statistically sound and fast, but not for keys: whoever has read a few outputs can compute the state.
 * Self-contained, as guest modules are. Throws a RangeError for anything that is not hexadecimal.
 */
export function makeGenerator(seedHex: string): Generator {
  const NativeRangeError = RangeError;
  const digits = '0123456789abcdef';
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;

  const random32 = (): number => {
    const result = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + result) | 0;
    return result >>> 0;
  };

  const digitAt = (text: string, position: number): number => {
    for (let value = 0; value < 16; value += 1) {
      if (text[position] === digits[value] || (value > 9 && text[position] === 'ABCDEF'[value - 10])) return value;
    }
    throw new NativeRangeError('A seed is written in hexadecimal digits.');
  };

  const mix = (entropyHex: string): void => {
    for (let start = 0; start < entropyHex.length; start += 32) {
      // Four words of eight digits each, one for each word of the state.
      let word = 0;
      for (let position = start; position < start + 32; position += 1) {
        word = (word << 4) | (position < entropyHex.length ? digitAt(entropyHex, position) : 0);
        if (position === start + 7) a ^= word;
        if (position === start + 15) b ^= word;
        if (position === start + 23) c ^= word;
        if (position === start + 31) d ^= word;
      }
      // The author's own warm-up: after it every bit of the state depends on every bit of the seed.
      for (let round = 0; round < 15; round += 1) random32();
    }
  };

  const { parse } = JSON;
  mix(seedHex);
  return {
    random32,
    mix,
    state: () => `[${a},${b},${c},${d}]`,
    resume(state) {
      [a, b, c, d] = parse(state);
    },
  };
}
