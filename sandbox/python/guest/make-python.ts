import type { WasmModule } from '../../isolate-assets.ts';
import type { CapabilityCalls } from '../../javascript/guest/capability-calls.ts';
import type { GuestKernel } from '../../javascript/guest/kernel.ts';
import type { GuestOutput, SendToHost } from '../../javascript/guest/output.ts';
import type { GuestFiles, makeInstaller } from './install-packages.ts';
import type { PythonEnvironment } from './python-environment.ts';
import type { ImageHead, LoaderParts, makeTakeImage } from './python-image.ts';
import type { FileSystem, makeSessionFiles, SessionFiles } from './session-files.ts';

/**
 * What the isolate is given before anything else runs in it. Buffers are shared by all isolates of a host, so that guest code must
 * never come to hold one: it could change what later sessions are made of.
 */
export interface PythonAssets {
  /** CPython, as V8 has compiled it for all isolates of the host; nothing can be changed about it. */
  readonly program: WasmModule;
  readonly library: SharedArrayBuffer;
  readonly lock: string;
  readonly runner: string;
  /** The state of CPython after its start; null where it is to be started, and its state written to `made`. */
  readonly snapshot: SharedArrayBuffer | null;
  /** Where there is anything in the heap of the snapshot: the places at which it begins and ends, in turn, as JSON. */
  readonly occupied: string;
  readonly made: SharedArrayBuffer | null;
  /** The bytes, and the head as JSON, of the image that the session goes on from; null where it begins. Not shared with any other. */
  image: SharedArrayBuffer | null;
  readonly imageHead: string | null;
  /** A memory of WebAssembly's: the host writes the number of a signal into its first byte. */
  readonly interrupt: { readonly buffer: SharedArrayBuffer };
  /** The largest that CPython's own heap may become. */
  readonly heapBytesMax: number;
  /** The packages to install: of each the paths of its files and their sizes, as JSON. What is in them is in `package0` and so on. */
  readonly packages: string;
  readonly [bytes: `package${number}`]: SharedArrayBuffer;
}

/** What of the engine's own CPython needs, captured before the platform takes it away. */
export type PythonEngine = (environment: Readonly<Record<string, unknown>>) => {
  readonly create: unknown;
  readonly load: (config: object) => Promise<Pyodide>;
};

/** Loaded with the rest, each as its own text. */
export interface PythonModules {
  readonly makeInstaller: typeof makeInstaller;
  readonly makeTakeImage: typeof makeTakeImage;
  readonly makeSessionFiles: typeof makeSessionFiles;
}

interface Pyodide extends LoaderParts {
  runPython(source: string, options?: object): unknown;
  pyimport(name: string): RunnerModule;
  setInterruptBuffer(buffer: Uint8Array): void;
  makeMemorySnapshot(): Uint8Array;
  readonly FS: FileSystem & GuestFiles;
  readonly _api: LoaderParts['_api'] & { readonly config: { _loadSnapshot?: Uint8Array | undefined } };
}

/** May be held up in the middle, without a thread: what it runs then goes on in a later entry. */
interface EnterPython {
  /** Gives the outcome of the cell that it has run, after its number; '' where there is none to be told. */
  callPromising(given: string): Promise<string>;
}
type AskPython = (operation: string, a?: unknown, b?: unknown) => string;

interface RunnerModule {
  connect(powers: object): void;
  /** The session lets go of the host, so that nothing of JavaScript is in its memory; why it cannot, or ''. */
  detach(): string;
  /** The other way round. */
  attach(powers: object): void;
  /** The same where its memory has come here from another isolate. */
  resume(powers: object): void;
  open_session(outputs: string, valueBytesMax: number, seed: string, argvJson: string, packages: string): void;
  readonly enter: EnterPython;
  /** The same, and then waits for what is entered after it. Ends when it is told to, or after some. */
  readonly serve: EnterPython;
  readonly ask: AskPython;
}

export interface PythonParts {
  readonly kernel: GuestKernel;
  readonly send: SendToHost;
  readonly output: GuestOutput;
  readonly calls: CapabilityCalls;
  /** The operations of the platform without Python. */
  readonly platform: Readonly<Record<string, (a: unknown, b: unknown, c: unknown, rest: string[]) => string>>;
}

/**
 * CPython as the language of an isolate: the operations that take the place of JavaScript's.
 *
 * I1: nothing of the host's is reachable from Python but the functions made here, which take and give primitives.
 * I2: no two isolates share anything that either can write to.
 * I3: once Python has failed for good, every operation says so to the host, which gives the isolate up.
 */
export function makePython(
  assets: PythonAssets,
  engine: PythonEngine,
  environment: PythonEnvironment,
  modules: PythonModules,
) {
  const global = globalThis as unknown as Record<string, unknown>;
  const CapturedPromise = Promise;
  const Bytes = Uint8Array;
  const { parse, stringify } = JSON;
  const uncurryThis = Function.prototype.bind.bind(Function.prototype.call) as GuestKernel['uncurryThis'];
  const [indexOf, slice, startsWith] = [
    uncurryThis(String.prototype.indexOf),
    uncurryThis(String.prototype.slice),
    uncurryThis(String.prototype.startsWith),
  ];
  const SERVES = '\0serves\0';
  const flag = new Bytes(assets.interrupt.buffer, 0, 1);
  const head = parse(assets.imageHead ?? 'null') as ImageHead | null;

  return ({ kernel, send, output, calls, platform }: PythonParts) => {
    const takeImage = modules.makeTakeImage(assets, send);
    let pyodide: Pyodide | undefined;
    let files: SessionFiles | undefined;
    let runner: RunnerModule | undefined;
    let enterPython: EnterPython | undefined;
    let servePython: EnterPython | undefined;
    let serving = false;
    /** Gives `serve` what it is to run, where it waits for that. */
    let giveNext: ((given: string) => void) | undefined;
    let given: Promise<unknown> = CapturedPromise.resolve();
    let askPython: AskPython | undefined;
    let powers: object = {};
    let problem = 'Python has not started.';
    let starting = true;
    let woken = false;
    let timer: unknown;

    const start = async (): Promise<void> => {
      const { create: createPyodideModule, load } = engine(environment(() => starting, atRest));
      const { now } = Date;
      const config = {
        indexURL: '/pyodide/',
        createPyodideModule,
        lockFileContents: parse(assets.lock),
        jsglobals: global,
        checkAPIVersion: false,
        enableRunUntilComplete: false,
        env: {
          HOME: '/home/pyodide',
          PYTHONHASHSEED: '0',
          PYTHONINSPECT: '1',
          PYTHONDONTWRITEBYTECODE: '1',
          TZ: 'UTC',
        },
        _makeSnapshot: true,
        ...(assets.snapshot === null ? {} : { _loadSnapshot: new Bytes(assets.snapshot) }),
      };
      pyodide = await load(config);
      // The loader keeps it where Python can reach it.
      pyodide._api.config._loadSnapshot = undefined;
      modules.makeInstaller(assets)(pyodide.FS);
      files = modules.makeSessionFiles(pyodide.FS);
      restoreFiles(files);
      if (assets.snapshot === null) {
        pyodide.runPython(assets.runner);
        starting = false;
        return;
      }
      runner = pyodide.pyimport('_pyrepl3.entry');
      enterPython = runner.enter;
      servePython = runner.serve;
      askPython = runner.ask;
      powers = { now, wake, timer: arm, ...streams, ...waits };
      if (head === null) runner.connect(powers);
      else runner.resume(powers);
      pyodide.setInterruptBuffer(flag);
      // In every isolate, spare or not, so that what is done again comes to the same. The memory of an image has it behind it.
      if (head === null) python('rehearse');
      starting = false;
    };

    function restoreFiles(restored: SessionFiles): void {
      if (head === null || assets.image === null) return;
      const { image } = assets;
      let at = head.pages.length * head.pageBytes;
      restored.restore(head.files, (length) => {
        at += length;
        return new Bytes(image, at - length, length).slice();
      });
      assets.image = null;
    }

    /** Python runs on once what JavaScript is doing now is over. */
    function wake(): void {
      if (woken) return;
      woken = true;
      void CapturedPromise.resolve().then(() => {
        woken = false;
        python('drive');
      });
    }
    function arm(delayMs: number): void {
      // One that is set already is set anew, which the host is not told as two things: it goes back to the cell that set it first.
      if (delayMs >= 0) kernel.startTimer(TIMER, delayMs, false);
      else if (timer !== undefined) kernel.stopTimer(TIMER);
      timer = delayMs < 0 ? undefined : TIMER;
    }
    /** Above what JavaScript's own timers count up to. */
    const TIMER = 2 ** 40;
    const PAUSE = TIMER + 1;

    const streams = {
      write: (stream: unknown, text: unknown) => output.write(stream === 'stderr' ? 'stderr' : 'stdout', `${text}`),
      display(json: unknown): void {
        output.flush();
        const text = `${json}`;
        if (output.charge(text.length)) send('display', text);
      },
      log(level: unknown, words: unknown): void {
        output.flush();
        const text = `${words}`;
        if (output.charge(text.length)) send('log', `${level}`, text);
      },
      done(cell: number, text: unknown): void {
        output.flush();
        send('done', +cell, `${text}`);
      },
    };

    const waits = {
      /** The number of the call, or the fault of one that cannot be made, as JSON. */
      call(name: unknown, argsJson: unknown, place: unknown): string {
        try {
          const call: number = calls.exchange(
            `${name}`,
            `${argsJson}`,
            `${place}`,
            (ok, json) => void python('settled', call, `${ok ? 1 : 0}${json}`),
          );
          return `${call}`;
        } catch (error) {
          const { code = 'INVALID_PARAMS', message } = error as { code?: string; message: string };
          return stringify({ code, message });
        }
      },
      /** Python is entered again after that time, or when it says that it waits no longer. */
      pause: (ms: number): void => kernel.startTimer(PAUSE, +ms, false),
      unpause: (): void => kernel.stopTimer(PAUSE),
    };

    function fail(error: unknown): void {
      problem = `${error}`;
      send('fatal', problem.length > 1000 ? problem.slice(-1000) : problem);
    }
    function tell(told: string): void {
      output.flush();
      const end = indexOf(told, '\0');
      if (end > 0) send('done', +slice(told, 0, end), slice(told, end + 1));
    }
    /** Where it is `serve` that waits: what it says, and the promise of what it is to do next. */
    function atRest(awaited: unknown): Promise<string> | undefined {
      if (typeof awaited !== 'string' || !startsWith(awaited, SERVES)) return undefined;
      tell(slice(awaited, SERVES.length));
      const waiting = new CapturedPromise<string>((resolve) => {
        giveNext = resolve;
      });
      given = waiting;
      return waiting;
    }
    /**
     * Whatever it leads to leaves by itself, in this entry or, where it is held up, in a later one.
     *
     * V8 makes a stack for whatever may be held up, and takes it away again after that, which takes longer than most cells. So one is
     * kept for those that come one after another. What comes while it is held up gets its own, and does not overtake what was given
     * to the other in the same entry.
     */
    function python(operation: string, a: unknown = '', b: unknown = ''): string {
      const what = `${operation}\0${a}\0${b}`;
      if (enterPython === undefined || servePython === undefined) fail(problem);
      else if (giveNext !== undefined) {
        const give = giveNext;
        giveNext = undefined;
        give(what);
      } else if (serving) {
        const enter = enterPython;
        given.then(() => enter.callPromising(what)).then(tell, fail);
      } else {
        serving = true;
        servePython.callPromising(what).then((told) => {
          serving = false;
          tell(told);
        }, fail);
      }
      return '';
    }
    function question(operation: string, a?: unknown, b?: unknown): string {
      let answer = '';
      try {
        if (askPython === undefined) throw new Error(problem);
        answer = `${askPython(operation, a, b)}`;
      } catch (error) {
        fail(error);
      }
      output.flush();
      if (answer[0] === '\0') throw new Error(answer.slice(1));
      return answer;
    }
    function grant(given: unknown, docs: unknown): void {
      const refused = question('grant', given, docs);
      if (refused !== '') send('refused', refused);
    }

    return {
      install(a: unknown, b: unknown, c: unknown, rest: string[]): string {
        platform['install']?.(a, b, c, rest);
        start().catch((error) => {
          problem = `Python did not start: ${error?.stack ?? error}`;
        });
        return '';
      },
      /** Answers JSON: what `takeImage` answers, or `{refused}` with the reason. */
      image(): string {
        if (pyodide === undefined || files === undefined || runner === undefined)
          return stringify({ refused: problem });
        try {
          const refused = runner.detach();
          if (refused !== '') return stringify({ refused });
          return takeImage(pyodide, files, platform['state']?.('', '', '', []) ?? '');
        } catch (error) {
          return stringify({ refused: `${(error as Error).message}` });
        } finally {
          runner.attach(powers);
        }
      },
      snapshot(): string {
        if (pyodide === undefined || assets.made === null) return problem;
        const bytes = pyodide.makeMemorySnapshot();
        new Bytes(assets.made).set(bytes);
        return `${bytes.length}`;
      },
      open(a: unknown, b: unknown, c: unknown, rest: string[]): string {
        const spec = parse(a as string);
        platform['open']?.(head === null ? a : stringify({ ...spec, resume: head.platform }), b, c, rest);
        const { outputs, valueBytesMax, seed, argv = [''], packages = [] } = spec;
        try {
          if (runner === undefined) throw new Error(problem);
          if (head === null)
            runner.open_session(outputs.join(','), valueBytesMax, seed, stringify(argv), packages.join(', '));
          grant(a, b);
        } catch (error) {
          fail(error);
        }
        return '';
      },
      run(a: unknown, _b: unknown, c: unknown, rest: string[]): string {
        flag[0] = 0;
        output.begin(c as number);
        return python('run', a, rest[1]);
      },
      timer(a: unknown, b: unknown, c: unknown, rest: string[]): string {
        if (a === PAUSE) return python('paused');
        if (a !== TIMER) return platform['timer']?.(a, b, c, rest) ?? '';
        timer = undefined;
        return python('fired');
      },
      grant(a: unknown, b: unknown, c: unknown, rest: string[]): string {
        platform['grant']?.(a, b, c, rest);
        grant(a, b);
        return '';
      },
      collect: () => '',
      /** Nothing is left on a stack: there is no image of those. */
      rest: () => (giveNext === undefined ? '' : python('rest')),
      abandon: () => python('abandon'),
      list: () => question('list'),
      names: () => question('names'),
      get: (a: unknown) => question('get', a),
      set: (a: unknown) => question('set', a),
      delete: (a: unknown) => question('delete', a),
      complete: (a: unknown) => question('complete', a),
      inspect: (a: unknown) => question('inspect', a),
      isComplete: (a: unknown) => question('isComplete', a),
    };
  };
}
