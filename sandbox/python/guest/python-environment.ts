import type { PythonAssets } from './make-python.ts';
import type { ImageHead } from './python-image.ts';
import type { makeSignalReader } from './signal-reader.ts';

/**
 * @param starting whether CPython is still being started, in an isolate for which the host keeps no timers yet
 * @param atRest what is waited for in place of the object of Python's that holds it up, which is its argument; undefined for that itself
 */
export type PythonEnvironment = (
  starting: () => boolean,
  atRest: (awaited: unknown) => Promise<unknown> | undefined,
) => Record<string, unknown>;

/**
 * What the scripts of the loader find in place of the isolate's global object: the shell that they can start in, and what of the
 * engine the platform takes away from guest code. Made before that happens; asked for its names after the platform is there.
 */
export function makeEnvironment(assets: PythonAssets, makeReader: typeof makeSignalReader): PythonEnvironment {
  const global = globalThis as unknown as Record<string, unknown>;
  const { create, assign } = Object;
  const CapturedPromise = Promise;
  const Bytes = Uint8Array;
  const fromCharCode = String.fromCharCode;
  const occupied = JSON.parse(assets.occupied) as readonly number[];
  const head = JSON.parse(assets.imageHead ?? 'null') as ImageHead | null;
  const { Module, Instance } = global['WebAssembly'] as {
    Module: new (bytes: unknown) => object;
    Instance: new (module: object, imports: unknown) => object;
  };

  /** In place of the bytes of CPython, which is compiled already: to copy and to compile them took a quarter of an isolate's start. */
  const nothingToCompile = new Bytes(0);
  // Compiling in the background would outlast the entry.
  const webAssembly = assign(create(global['WebAssembly'] as object), {
    compile: async (bytes: unknown) => new Module(bytes),
    instantiate: async (source: object, imports: unknown) => {
      if (source instanceof Module) return new Instance(source, imports);
      const isProgram = (source as Uint8Array).length === 0;
      const module = isProgram ? assets.program : new Module(source);
      return { module, instance: new Instance(module, imports) };
    },
  });
  const atomics = assign(create(global['Atomics'] as object), {
    wait(): never {
      throw new TypeError('Waiting would hold up a thread of the host.');
    },
  });
  const nothing = (): void => undefined;
  // What garbage collection does cannot be replayed.
  class NoRegistry {
    readonly register = nothing;
    readonly unregister = nothing;
  }
  class StrongRef {
    readonly deref: () => unknown;
    constructor(target: unknown) {
      this.deref = () => target;
    }
  }
  const takeSignal = makeReader(assets.interrupt);
  const heapLength = (start: Uint8Array): number => head?.heapBytes ?? start.length;
  /**
   * What is zero in the snapshot is zero in a new heap: memory that is never written to takes no room.
   * @returns what the loader is to find besides the heap; undefined where that is what the snapshot says
   */
  const restoreHeap = (heap: Uint8Array, start: Uint8Array): object | undefined => {
    for (let i = 0; i < occupied.length; i += 2)
      heap.set(start.subarray(occupied[i] as number, occupied[i + 1] as number), occupied[i] as number);
    if (head === null || assets.image === null) return undefined;
    const { pages, pageBytes, hiwire } = head;
    const changed = new Bytes(assets.image);
    for (let i = 0; i < pages.length; i++)
      heap.set(changed.subarray(i * pageBytes, (i + 1) * pageBytes), (pages[i] as number) * pageBytes);
    return hiwire;
  };
  const quiet = { log: nothing, warn: nothing, error: nothing, info: nothing, debug: nothing, trace: nothing };

  return (starting, atRest) => {
    const {
      setTimeout,
      clearTimeout,
      TextDecoder,
      TextEncoder,
      URL,
      AbortController,
      performance,
      Date,
      crypto,
      btoa,
    } = globalThis;
    const shell = {
      read: () => assets.lock,
      load(): never {
        throw new Error('An isolate loads nothing.');
      },
      readbuffer: (file: string) => (file.endsWith('.wasm') ? nothingToCompile : new Bytes(assets.library)),
      os: {
        /** How the loader asks a shell for random bytes: `head -c16 /dev/urandom | base64`. */
        system(_: string, [, command]: [string, string]): string {
          const bytes = crypto.getRandomValues(new Bytes(Number(/-c(\d+)/.exec(command)?.[1] ?? 0)));
          let text = '';
          for (const byte of bytes) text += fromCharCode(byte);
          return btoa(text);
        },
      },
    };
    const names = {
      ...shell,
      console: quiet,
      WebAssembly: webAssembly,
      Atomics: atomics,
      FinalizationRegistry: NoRegistry,
      WeakRef: StrongRef,
      SharedArrayBuffer: assets.library.constructor,
      setTimeout(callback: () => void, delayMs: number): unknown {
        if (!starting()) return setTimeout(callback, delayMs);
        void CapturedPromise.resolve().then(callback);
        return 0;
      },
      ...{ clearTimeout, TextDecoder, TextEncoder, URL, AbortController, performance, Date, crypto },
    };
    return {
      ...names,
      heapBytesMax: assets.heapBytesMax,
      takeSignal,
      heapLength,
      restoreHeap,
      atRest,
      globalThis: assign(create(global), names),
    };
  };
}
