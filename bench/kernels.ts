/**
 * CPU-bound programs, each written as a person would type it into a cell, each ending in a value that shows it did its work.
 * Those that do not collect take some 200 ms, so that what a cell costs once (entering, compiling) hardly counts.
 */
export interface Kernel {
  readonly name: string;
  readonly source: string;
  readonly value: number;
  /** Its time is the collector's: it depends on the size of the young generation, which isolated-vm ties to the heap limit. */
  readonly collects?: true;
}

export const KERNELS: readonly Kernel[] = [
  {
    name: 'calls (fib)',
    source: 'function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }\nfib(37)',
    value: 24_157_817,
  },
  {
    name: 'typed array (sieve)',
    // Small enough for the cache: a larger one measures the memory of the machine, and its neighbours.
    source: `function sieve(max, times) {
  const composite = new Uint8Array(max + 1);
  let count = 0;
  for (let time = 0; time < times; time++) {
    composite.fill(0);
    count = 0;
    for (let i = 2; i <= max; i++) {
      if (composite[i]) continue;
      count++;
      for (let j = i * i; j <= max; j += i) composite[j] = 1;
    }
  }
  return count;
}
sieve(200_000, 200)`,
    value: 17_984,
  },
  {
    name: 'floating point (matrix)',
    source: `function multiply(size) {
  const a = new Float64Array(size * size).fill(1.5), b = new Float64Array(size * size).fill(2), c = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      let sum = 0;
      for (let k = 0; k < size; k++) sum += a[i * size + k] * b[k * size + j];
      c[i * size + j] = sum;
    }
  }
  return c[size * size - 1];
}
multiply(340)`,
    value: 1_020,
  },
  {
    name: 'text (build, split)',
    source: `function text(lines) {
  let all = '';
  for (let i = 0; i < lines; i++) all += 'line ' + i + ';';
  let total = 0;
  for (const line of all.split(';')) total += line.length;
  return total;
}
text(200_000)`,
    value: 2_088_890,
    collects: true,
  },
  {
    name: 'short-lived objects',
    source: `function points(count) {
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const list = [{ x: i, y: i + 1 }, { x: i + 2, y: i + 3 }].map(({ x, y }) => ({ sum: x + y }));
    sum += list[0].sum - list[1].sum;
  }
  return sum;
}
points(10_000_000)`,
    value: -40_000_000,
    collects: true,
  },
  {
    name: 'kept objects (map)',
    source: `function build(count) {
  const map = new Map();
  for (let i = 0; i < count; i++) map.set('key' + i, { id: i, tags: [i, i + 1] });
  let sum = 0;
  for (const { tags } of map.values()) sum += tags[1];
  return sum;
}
build(60_000)`,
    value: 1_800_030_000,
    collects: true,
  },
  {
    name: 'top-level loop',
    source: 'let total = 0;\nfor (let i = 0; i < 40_000_000; i++) { total = (total + i * 3) % 1000003; }\ntotal',
    value: 21_780,
  },
];
