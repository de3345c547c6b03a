/**
 * How CPython looks for a signal: the function that takes the number of one out of the first byte of `memory` and leaves 0 there.
 *
 * It looks each 50 steps of its evaluation, and whenever a text is made of an object. A function of WebAssembly's costs a few
 * nanoseconds; one of JavaScript's is called through another stack than that of what may be held up, so that with the loader's own
 * a program that makes many texts took a quarter longer.
 *
 *     (module
 *       (import "" "" (memory 1 1 shared))
 *       (func (export "") (result i32) (local $signal i32)
 *         (local.tee $signal (i32.load8_u (i32.const 0)))
 *         (if (then (i32.store8 (i32.const 0) (i32.const 0))))
 *         (local.get $signal)))
 */
export function makeSignalReader(memory: object): () => number {
  const { Module, Instance } = (globalThis as unknown as Record<string, unknown>)['WebAssembly'] as {
    Module: new (bytes: Uint8Array) => object;
    Instance: new (module: object, imports: object) => { readonly exports: { readonly ['']: () => number } };
  };
  const section = (id: number, ...body: number[]): number[] => [id, body.length, ...body];
  const load = [0x41, 0, 0x2d, 0, 0, 0x22, 0];
  const store = [0x04, 0x40, 0x41, 0, 0x41, 0, 0x3a, 0, 0, 0x0b];
  const code = [1, 1, 0x7f, ...load, ...store, 0x20, 0, 0x0b];
  const bytes = [
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, 1, 0x60, 0, 1, 0x7f),
    ...section(2, 1, 0, 0, 2, 3, 1, 1),
    ...section(3, 1, 0),
    ...section(7, 1, 0, 0, 0),
    ...section(10, 1, code.length, ...code),
  ];
  return new Instance(new Module(new Uint8Array(bytes)), { '': { '': memory } }).exports[''];
}
