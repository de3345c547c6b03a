/**
 * The only importer of isolated-vm: one V8 isolate with one context, entered through one function.
 *
 * I1: nothing but primitives crosses; no Reference, ExternalCopy or other handle of isolated-vm is ever given to guest code.
 * I2: after `boot`, guest code is entered only through `enter`, under a timeout.
 * I3: a disposed isolate settles every entry that was open.
 */
import { availableParallelism } from 'node:os';
import ivm from 'isolated-vm';
import { EntryTurns } from './entry-turns.ts';
import { Inspector } from './inspector.ts';
import { interrupt, makeSignal } from './interrupt.ts';
import type { IsolateAssets } from './isolate-assets.ts';

/** How an entry ended. `unhandled`: it ran to its end and left a rejected promise that nobody handles. */
export type EntryEnd =
  | { readonly end: 'returned'; readonly text: string }
  | {
      readonly end: 'unhandled';
      readonly error: { readonly name: string; readonly message: string; readonly stack: string };
    }
  | { readonly end: 'timed-out' }
  | { readonly end: 'terminated' }
  /** The isolate is gone: it met its memory limit, unless `dispose` was called. */
  | { readonly end: 'disposed' };

export type Primitive = string | number | boolean | undefined;

export interface IsolateEvents {
  /** A message of the guest side, as `SendToHost` in `javascript/guest/output.ts` sent it. */
  message(kind: unknown, a: unknown, b: unknown, c: unknown, d: unknown, e: unknown): void;
  /** A pure computation asked for synchronously. */
  compute(operation: unknown, args: readonly unknown[]): string | null;
  /** V8 has lost control of this isolate; nothing in it can be used or freed. */
  catastrophe(by: 'memory' | 'stuck', message: string): void;
}

const DISPOSED: EntryEnd = { end: 'disposed' };
const TIMEOUT_MESSAGE = 'Script execution timed out.';
/** What isolated-vm says of an entry that has not ended five seconds after its timeout. */
const NO_TERMINATION_MESSAGE = 'Script failed to terminate';
const STUCK = 'The isolate runs in code of the engine that cannot be interrupted.';
/** What isolated-vm says of a rejection it cannot copy. */
const NO_ERROR_MESSAGE =
  'An object was thrown from supplied code within isolated-vm, but that object was not an instance of `Error`.';
/** How long an isolate may take to answer a probe after its execution was terminated, before it counts as stuck. */
const PROBE_MS = 1000;
/** One that neither computes nor answers is given up after this time. */
const PROBE_WALL_MS = 5000;
const PROBE_LOOK_MS = 20;
/** A reading of the heap that takes longer is done without. */
const READING_MS_MAX = 1000;
/** Rounds in which the inspector may answer what it was sent, before an isolate is disposed of. */
const PASSES_MAX = 100;
/** Together about the same; what runs is ended anew before each. */
const PROBE_WAITS_MS = [300, 100, 100, 100, 100, 100, 100, 100];
const INSTALL_TIMEOUT_MS = 5000;
/** How much longer V8 lets an interpreter run that does not stop when it is told to. */
const INTERPRETER_GRACE_MS = 10_000;

/** The prelude's compiled code is the same in every isolate of a host, so each compilation after the first reuses it. */
const preludeCode = new Map<string, ivm.ExternalCopy<ArrayBuffer>>();

/** As many as isolated-vm has threads for in this process. */
const turns = new EntryTurns(availableParallelism() + 1);

const PRELUDE_ORIGIN = { filename: 'pyrepl3:prelude' };
const installing = (prelude: string): string =>
  `(() => { const s = globalThis.send, c = globalThis.compute; delete globalThis.send; delete globalThis.compute; return (${prelude})(s, c); })()`;

export class Isolate {
  readonly heapMiB: number;
  readonly #isolate: ivm.Isolate;
  readonly #enter: ivm.Reference;
  readonly #inspector: Inspector;
  #cpuMs = 0;
  #settledRunMs = 0;
  #cpuShare = 1;
  #events: IsolateEvents | undefined;
  /** Settle the entries, and the readings of the heap, that have not come to their end. */
  readonly #open = new Set<(end: EntryEnd) => void>();
  readonly #readings = new Set<(end: EntryEnd) => void>();
  #lastEnd: EntryEnd | undefined;
  #terminating = false;
  readonly #interrupt: Uint8Array | undefined;
  #disposal: Promise<boolean> | undefined;

  /**
   * @param prelude source of an expression that evaluates to a function `(send, compute) => enter`
   * @param assets what the prelude finds in the global `assets`. Such an isolate runs an interpreter, which is stopped through the
   * first byte of the memory `assets.interrupt`, because V8 would tear it apart in the middle of its work.
   * @throws where isolated-vm cannot make an isolate of this size
   */
  constructor(heapMiB: number, prelude: string, assets?: IsolateAssets) {
    this.heapMiB = heapMiB;
    this.#isolate = new ivm.Isolate({
      memoryLimit: heapMiB,
      inspector: true,
      onCatastrophicError: (message) => this.#catastrophe(String(message)),
    });
    const context = this.#isolate.createContextSync({ inspector: true });
    // Opening the inspector session from outside the isolate aborts Node 26; from inside a synchronous callback it works.
    this.#inspector = new Inspector(openInspector(this.#isolate, context), () => this.#isolate.isDisposed);
    context.global.setSync('send', new ivm.Callback(this.#receive, { ignored: true } as object));
    context.global.setSync('compute', new ivm.Callback(this.#compute));
    if (assets !== undefined) {
      context.global.setSync('assets', new ivm.ExternalCopy(assets).copyInto({ release: true }));
      this.#interrupt = makeSignal(context);
    }
    const compiled = preludeCode.get(prelude);
    const script = this.#isolate.compileScriptSync(installing(prelude), {
      ...PRELUDE_ORIGIN,
      ...(compiled === undefined ? {} : { cachedData: compiled }),
    });
    this.#enter = script.runSync(context, { reference: true, timeout: INSTALL_TIMEOUT_MS }) as ivm.Reference;
    script.release();
  }

  /**
   * From now on new isolates are made with what was compiled of the prelude so far in this one, which has run nobody's code. V8
   * compiles a function when it is first called, so that is more the more of it has run: it finds the script that it has
   * compiled already, with all that was added to it since.
   */
  shareCode(prelude: string): void {
    const script = this.#isolate.compileScriptSync(installing(prelude), { ...PRELUDE_ORIGIN, produceCachedData: true });
    const { cachedData } = script as { cachedData?: ivm.ExternalCopy<ArrayBuffer> };
    if (cachedData !== undefined) preludeCode.set(prelude, cachedData);
    script.release();
  }

  /** From now on messages of the guest go to `events`. */
  listen(events: IsolateEvents): void {
    this.#events = events;
  }

  /** It either had no memory left where V8 cannot do without, or went on for seconds after the timeout of its entry. */
  #catastrophe(message: string): void {
    if (message === NO_TERMINATION_MESSAGE) this.#events?.catastrophe('stuck', STUCK);
    else this.#events?.catastrophe('memory', message);
  }

  readonly #receive = (kind: unknown, a: unknown, b: unknown, c: unknown, d: unknown, e: unknown): void =>
    this.#events?.message(kind, a, b, c, d, e);
  readonly #compute = (operation: unknown, ...args: unknown[]): string | null =>
    this.#events?.compute(operation, args) ?? null;

  /**
   * Enters the isolate. Entries run one after another in the order of the calls. The promise always settles, and never
   * rejects.
   * @param timeoutMs wall-clock time from the start of the entry, at least 1
   */
  enter(timeoutMs: number, args: readonly Primitive[]): Promise<EntryEnd> {
    return new Promise((resolve) => {
      if (this.#lastEnd !== undefined) {
        resolve(this.#lastEnd);
        return;
      }
      const settle = (end: EntryEnd): void => {
        if (!this.#open.delete(settle)) return;
        turns.end(turn);
        resolve(end);
      };
      this.#open.add(settle);
      // isolated-vm reads the stack of whoever calls it, ten frames deep: from a microtask there are few to read.
      const turn = turns.take(this, () => this.#apply(timeoutMs, args, settle));
    });
  }

  #apply(timeoutMs: number, args: readonly Primitive[], settle: (end: EntryEnd) => void): void {
    const askedMs = performance.now();
    const timeout = Math.max(1, Math.ceil(timeoutMs)) + (this.#interrupt === undefined ? 0 : INTERPRETER_GRACE_MS);
    this.#enter.apply(undefined, args as unknown[], { timeout }).then(
      (text) => settle({ end: 'returned', text: typeof text === 'string' ? text : '' }),
      (error: unknown) => {
        // A timer may be a millisecond early.
        const end = this.#endOf(error, performance.now() - askedMs >= timeout - 1);
        // V8 has ended the interpreter in the middle of its work: nothing in it can be relied on any more.
        if (this.#interrupt !== undefined && (end.end === 'timed-out' || end.end === 'terminated'))
          this.#events?.catastrophe('stuck', STUCK);
        settle(end);
      },
    );
  }

  /** Whether it went over its memory limit, which isolated-vm does not always tell those who wait; they are told now. */
  checkDisposed(): boolean {
    if (!this.#isolate.isDisposed) return false;
    this.#lastEnd ??= DISPOSED;
    this.#settleAll(this.#lastEnd);
    return true;
  }

  /** What the rejection of an entry means. isolated-vm may reject with anything, a primitive or null included. */
  #endOf(error: unknown, mayHaveTimedOut: boolean): EntryEnd {
    const { name, message, stack } = (
      typeof error === 'object' && error !== null ? error : { message: String(error) }
    ) as Partial<Error>;
    const text = typeof message === 'string' ? message : String(message);
    if (this.checkDisposed()) return DISPOSED;
    // Guest code may reject a promise with null, or with an error that is worded like a timeout.
    if ((error === null || error === undefined) && this.#terminating) return { end: 'terminated' };
    if (text === TIMEOUT_MESSAGE && mayHaveTimedOut) return { end: 'timed-out' };
    return text === NO_ERROR_MESSAGE
      ? { end: 'unhandled', error: { name: '', message: 'an object that is not an Error', stack: '' } }
      : {
          end: 'unhandled',
          error: { name: String(name ?? ''), message: text, stack: typeof stack === 'string' ? stack : '' },
        };
  }

  /**
   * Ends what is running now and keeps the isolate's state. Settles true when the isolate answers again, false when it is stuck
   * in code that V8 cannot interrupt. Every entry that was open has settled by then.
   */
  async terminate(): Promise<boolean> {
    if (this.#lastEnd !== undefined) return true;
    return this.#interrupt === undefined ? this.#terminateExecution() : this.#interruptInterpreter(this.#interrupt);
  }

  #interruptInterpreter(signal: Uint8Array): Promise<boolean> {
    turns.hurry(this);
    const running = [...this.#open];
    const over = (): boolean => this.checkDisposed() || !running.some((settle) => this.#open.has(settle));
    return interrupt(signal, { over, cpuMs: () => this.cpuMs }, { cpuMs: PROBE_MS, wallMs: PROBE_WALL_MS });
  }

  async #terminateExecution(): Promise<boolean> {
    this.#terminating = true;
    turns.hurry(this);
    let interrupted: ((end: EntryEnd) => void)[] = [];
    let alive = false;
    for (let attempt = 0; attempt < PROBE_WAITS_MS.length && !alive; attempt++) {
      interrupted = [...this.#open];
      if (attempt === 0) this.#inspector.dispatch('Runtime.terminateExecution');
      else this.#pauseAndEnd();
      // The promise of a terminated entry may never settle: an entry queued behind it that does settle proves that it is over.
      alive = await this.#probe(PROBE_WAITS_MS[attempt] as number);
      if (alive && attempt > 0) this.#inspector.dispatch('Debugger.disable');
    }
    this.#terminating = false;
    for (const settle of [...interrupted, ...this.#readings]) settle({ end: 'terminated' });
    return alive;
  }

  /**
   * isolated-vm reads three properties of what a promise was rejected with, under no timeout; each may be a getter that has to be
   * ended in turn. V8 refuses a second termination while the first has not come to its end, but it ends what it paused.
   */
  #pauseAndEnd(): void {
    this.#inspector.onPaused = () => this.#inspector.dispatch('Debugger.resume', { terminateOnResume: true });
    this.#inspector.dispatch('Debugger.enable');
    this.#inspector.dispatch('Debugger.pause');
  }

  /**
   * Whether the isolate comes to answer. What is waited for is how long it goes on computing after it was told to stop, and not
   * how long that takes: on a busy machine everybody waits.
   */
  #probe(waitCpuMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const [startMs, startCpuMs] = [performance.now(), this.cpuMs];
      const settle = (alive: boolean): void => {
        clearInterval(look);
        resolve(alive);
      };
      const look = setInterval(() => {
        if (this.checkDisposed()) settle(true);
        if (this.cpuMs - startCpuMs > waitCpuMs || performance.now() - startMs > PROBE_WALL_MS) settle(false);
      }, PROBE_LOOK_MS);
      void this.enter(PROBE_MS, ['probe', 0, '']).then(() => settle(true));
      turns.hurry(this);
    });
  }

  /** CPU time spent in the isolate so far, in milliseconds; 0 once disposed. Safe to read while it runs. */
  get cpuMs(): number {
    return this.#cpuMs + this.unsettledMs * this.#cpuShare;
  }

  /** Time it has been running, or has waited for a core to run on, since `settleCpu` was called last. */
  get unsettledMs(): number {
    return Math.max(0, this.#runMs - this.#settledRunMs);
  }

  /**
   * Counts the unsettled time as CPU time. isolated-vm's own `cpuTime` is measured by the wall clock where it was built without
   * thread clocks, as its Linux binaries are, so on a busy machine only a share of it was spent on a core.
   */
  settleCpu(share: number): void {
    this.#cpuMs += this.unsettledMs * share;
    this.#settledRunMs = this.#runMs;
    this.#cpuShare = share;
  }

  get #runMs(): number {
    try {
      return Number(this.#isolate.cpuTime) / 1e6;
    } catch {
      // It has just gone over its memory limit, which the end of its entry reports.
      return 0;
    }
  }

  /**
   * Bytes of heap in use, buffers outside V8's heap included. Waits for the entries before it; 0 where the isolate ends, or what
   * it runs is terminated, meanwhile. One that uses twice its limit, garbage not counted, has ended after this.
   */
  heapBytes(): Promise<number> {
    return new Promise((resolve) => {
      // isolated-vm never settles this where an execution is terminated, or the isolate goes over its memory limit, meanwhile.
      const settle = (_?: EntryEnd, bytes = 0): void => {
        clearTimeout(timer);
        turns.end(turn);
        this.#readings.delete(settle);
        resolve(bytes);
      };
      this.#readings.add(settle);
      let timer: NodeJS.Timeout | undefined;
      const turn = turns.take(this, () => {
        timer = setTimeout(() => {
          this.checkDisposed();
          // The answer of one that could not be heard for so long may have come.
          setImmediate(settle);
        }, READING_MS_MAX);
        this.#readHeap().then((bytes) => settle(undefined, bytes), settle);
      });
    });
  }

  async #readHeap(): Promise<number> {
    const { used_heap_size, externally_allocated_size } = await this.#isolate.getHeapStatistics();
    const bytes = used_heap_size + externally_allocated_size;
    // isolated-vm holds the limit against the heap when V8 happens to collect garbage, and whenever it compiles a script. V8 comes to
    // do so where objects add up, but not for one that is larger than all of them may be.
    if (bytes > 2 * this.heapMiB * 2 ** 20) (await this.#isolate.compileScript('')).release();
    return bytes;
  }

  /** See `Inspector`; false where that takes longer than an entry may, as it does where the isolate ends. */
  referToGlobalsOnly(name: string, ownNames: readonly (string | null)[]): Promise<boolean> {
    const { promise: late, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(resolve, PROBE_WALL_MS, false);
    return Promise.race([this.#inspector.referToGlobalsOnly(name, ownNames), late]).finally(() => clearTimeout(timer));
  }

  /**
   * Gives the isolate up: every open entry settles at once, and the memory is freed as soon as what runs has been ended. Settles
   * false when the isolate is stuck in code that V8 cannot interrupt, so that only the end of the process frees it.
   */
  dispose(): Promise<boolean> {
    this.#disposal ??= this.#dispose();
    return this.#disposal;
  }

  async #dispose(): Promise<boolean> {
    this.#events = undefined;
    const busy = this.#open.size > 0;
    const alive = !busy || this.#lastEnd !== undefined || (await this.#terminateExecution());
    this.#lastEnd ??= DISPOSED;
    this.#settleAll(this.#lastEnd);
    if (!alive) return false;
    // An isolate that met its memory limit has disposed of itself. isolated-vm cannot close its inspector session then: the
    // isolate's last thread waits for a lock that it holds itself, and so would we.
    if (this.#isolate.isDisposed) return true;
    // The isolate's own thread answers what the inspector session was sent, and closes it: to dispose of the session before
    // the one, or of the isolate before the other, is to crash the process.
    for (let pass = 0; pass === 0 || (this.#inspector.unanswered > 0 && pass < PASSES_MAX); pass++) await this.#pass();
    if (this.#isolate.isDisposed) return true;
    if (this.#inspector.unanswered > 0) return false;
    this.#inspector.dispose();
    await this.#pass();
    if (!this.#isolate.isDisposed) this.#isolate.dispose();
    return true;
  }

  #settleAll(end: EntryEnd): void {
    for (const settle of [...this.#open, ...this.#readings]) settle(end);
  }

  /** Settles when the isolate's thread has done all that it was given before. */
  async #pass(): Promise<void> {
    await this.#enter.apply(undefined, ['probe', 0, ''], { timeout: PROBE_MS }).catch(() => undefined);
  }
}

/** Opening the session from outside the isolate aborts Node 26; from inside, in a synchronous callback, it works. */
function openInspector(isolate: ivm.Isolate, context: ivm.Context): ivm.InspectorSession {
  let session: ivm.InspectorSession | undefined;
  const open = new ivm.Callback(() => {
    session = isolate.createInspectorSession();
  });
  context.global.setSync('open', open);
  context.evalSync('globalThis.open(); delete globalThis.open; 0', { timeout: INSTALL_TIMEOUT_MS });
  if (session === undefined) throw new Error('isolated-vm did not open an inspector session.');
  return session;
}
