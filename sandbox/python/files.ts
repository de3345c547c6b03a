/** The files of the `pyodide` package as an isolate can run them. Nothing is downloaded: they are read from the package. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileWasm, type WasmModule } from '../isolate-assets.ts';

export interface PythonFiles {
  /** Source of an expression: a `PythonEngine` of `guest/make-python.ts`. */
  readonly engine: string;
  /** CPython itself, compiled once for all isolates of this process. */
  readonly program: () => WasmModule;
  readonly library: SharedArrayBuffer;
  readonly lock: string;
  /** Python that defines the modules of `guest/runner/`. */
  readonly runner: string;
  /** Of all that a snapshot depends on. */
  readonly digest: string;
}

/** Names that the two scripts find in their environment instead of in the isolate's global object. */
const ENVIRONMENT =
  'read, load, readbuffer, os, console, WebAssembly, Atomics, FinalizationRegistry, WeakRef, SharedArrayBuffer, setTimeout, clearTimeout, TextDecoder, TextEncoder, URL, AbortController, performance, Date, crypto, globalThis, heapBytesMax, takeSignal, heapLength, restoreHeap, atRest';

/** In the order in which they import each other. */
const RUNNER_PARTS = [
  'state',
  'faults',
  'reports',
  'holds',
  'loop',
  'streams',
  'calls',
  'sleeping',
  'capabilities',
  'web',
  'display',
  'grants',
  'cells',
  'questions',
  'entry',
];

/** What the runner has of these, and of the builtins, is its own: a session may redefine what it finds in the modules. */
const COPIED_MODULES = ['ast', 'codeop', 'inspect', 'itertools', 'json', 'keyword', 'math', 'traceback'];

/**
 * The loader copies a snapshot without growing the heap first, which fails where the snapshot is larger, and byte by byte, zeros
 * included, which takes the longest of all that is done to make an isolate. And what it puts in place is always the start.
 */
const COPY = 'return Module.HEAP8.set(t),l}';
const GROW_AND_COPY =
  'const more=heapLength(t)-Module.HEAP8.length;if(more>0){wasmMemory.grow((more+65535)>>>16);updateMemoryViews()}return restoreHeap(Module.HEAPU8,t)??l}';
const HEAP_MAX = 'getHeapMax=()=>4294901760';
/**
 * Before it runs Python on a stack of its own the loader waits for a timer, which costs an entry of the isolate and a millisecond. It
 * is enough that nothing of Python is on the stack, as in a microtask.
 */
const NEXT_TIMER = 'await new Promise(d=>API.scheduleCallback(d,0))';
/** By which CPython looks for signals: see guest/signal-reader.ts. */
const SIGNAL_IMPORT = ',_Py_CheckEmscriptenSignals_Helper,';
/** What holds Python up is waited for through its event loop, which what is between two cells has no part in. */
const AWAIT = 'return await(x??y)';

const require = createRequire(import.meta.url);
let files: PythonFiles | undefined;

/** @throws Error where the package is not the version that this was written for */
export function pythonFiles(): PythonFiles {
  files ??= readFiles(dirname(require.resolve('pyodide/package.json')));
  return files;
}

function readFiles(folder: string): PythonFiles {
  const text = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const wasm = readFileSync(join(folder, 'pyodide.asm.wasm'));
  const library = readFileSync(join(folder, 'python_stdlib.zip'));
  // Of packages that could be downloaded: there are none, and it is long.
  const lock = JSON.stringify({ ...JSON.parse(text('pyodide-lock.json')), packages: {} });
  const engine = engineSource(text('pyodide.asm.mjs'), text('pyodide.mjs'));
  const runner = runnerSource();
  const digest = createHash('sha256');
  for (const part of [wasm, library, lock, engine, runner]) digest.update(createHash('sha256').update(part).digest());
  return { engine, program: compiled(wasm), library: shared(library), lock, runner, digest: digest.digest('hex') };
}

/** Not before it is needed: V8 takes some of its flags into account when it compiles. */
function compiled(wasm: Uint8Array): () => WasmModule {
  let program: WasmModule | undefined;
  return () => {
    program ??= compileWasm(wasm);
    return program;
  };
}

/** What runs cells inside, as one text that puts its parts in place, each under the name that the others import it by. */
function runnerSource(): string {
  const parts = RUNNER_PARTS.map((name) => {
    const source = readFileSync(fileURLToPath(new URL(`./guest/runner/${name}.py`, import.meta.url)), 'utf8');
    return `_add(${JSON.stringify(name)}, ${JSON.stringify(source)})\n`;
  });
  return `import builtins, sys, types
sys.modules["_pyrepl3"] = types.ModuleType("_pyrepl3")
_builtins = dict(vars(builtins))
def _add(name, source):
    module = sys.modules[f"_pyrepl3.{name}"] = types.ModuleType(f"_pyrepl3.{name}")
    module.__dict__["__builtins__"] = _builtins
    exec(compile(source, f"<pyrepl3.{name}>", "exec"), module.__dict__)
    for used in ${JSON.stringify(COPIED_MODULES)}:
        if used in module.__dict__:
            module.__dict__[used] = types.SimpleNamespace(**vars(module.__dict__[used]))
    setattr(sys.modules["_pyrepl3"], name, module)
${parts.join('')}del builtins, sys, types, _add, _builtins
`;
}

function engineSource(main: string, loader: string): string {
  const changes: readonly [string | RegExp, string][] = [
    [/export default _createPyodideModule;\s*$/, 'return _createPyodideModule;'],
    [COPY, GROW_AND_COPY],
    [HEAP_MAX, 'getHeapMax=()=>heapBytesMax'],
    [SIGNAL_IMPORT, ',_Py_CheckEmscriptenSignals_Helper:takeSignal,'],
    [NEXT_TIMER, 'await undefined'],
    [AWAIT, 'return await(atRest(x??y)??x??y)'],
  ];
  const create = changes
    .reduce((text, [what, by]) => replaced(text, what, by), main)
    .replaceAll('import.meta.url', '"file:///pyodide/pyodide.asm.mjs"');
  const load = replaced(loader, /export\{(\w+) as loadPyodide,[\s\S]*$/, 'return $1;');
  return `(({ ${ENVIRONMENT} }) => ({ create: (() => {${create}})(), load: (() => {${load}})() }))`;
}

function replaced(text: string, what: string | RegExp, by: string): string {
  const changed = text.replace(what, by);
  if (changed === text) throw new Error('The package pyodide is not the version that this was written for.');
  return changed;
}

/** Memory that isolates can use without a copy of their own. */
export function shared(bytes: Uint8Array): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(bytes.byteLength);
  new Uint8Array(buffer).set(bytes);
  return buffer;
}
