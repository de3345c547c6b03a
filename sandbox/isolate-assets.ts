/** What an isolate can be given to begin with: texts, and what is shared with it and not copied. */

/** `WebAssembly.Module`, which no library of types that this project has knows. */
export interface WasmModule {
  readonly [Symbol.toStringTag]: 'WebAssembly.Module';
}

export type IsolateAssets = Readonly<Record<string, string | number | null | SharedArrayBuffer | WasmModule>>;

/** Compiles a module, which all isolates of the process can be given. */
export function compileWasm(bytes: Uint8Array): WasmModule {
  const { Module } = (globalThis as unknown as Record<string, unknown>)['WebAssembly'] as {
    Module: new (bytes: Uint8Array) => WasmModule;
  };
  return new Module(bytes);
}
