/**
 * The only importer of isolated-vm: one V8 isolate with one context, entered through one function.
 *
 * I1: nothing but primitives crosses; no Reference, ExternalCopy or other handle of isolated-vm is ever given to guest code.
 * I2: after `boot`, guest code is entered only through `enter`, under a timeout.
 * I3: a disposed isolate settles every entry that was open.
 */
import ivm from 'isolated-vm';

/** How an entry ended. `unhandled`: it ran to its end and left a rejected promise that nobody handles. */
export type EntryEnd =
  | { readonly end: 'returned'; readonly text: string }
  | {
      readonly end: 'unhandled';
      readonly error: { readonly name: string; readonly message: string; readonly stack: string };
    }
  | { readonly end: 'timed-out' }
  | { readonly end: 'terminated' }
  | { readonly end: 'disposed'; readonly memory: boolean };

export type Primitive = string | number | boolean | undefined;

export interface IsolateEvents {
  /** A message of the guest side, as `SendToHost` in `javascript/guest/output.ts` sent it. */
  message(kind: unknown, a: unknown, b: unknown, c: unknown): void;
  /** A pure computation asked for synchronously. */
  compute(operation: unknown, args: readonly unknown[]): string | null;
  /** V8 has lost control of this isolate; nothing in it can be used or freed. */
  catastrophe(message: string): void;
}

const MEMORY_MESSAGE = /memory limit/;
const DISPOSED_MESSAGE = /isolate (is|was) disposed/i;
const TIMEOUT_MESSAGE = 'Script execution timed out.';
/** How long an isolate may take to answer a probe after its execution was terminated, before it counts as stuck. */
const PROBE_MS = 1000;
const INSTALL_TIMEOUT_MS = 5000;

/** The prelude's compiled code is the same in every isolate of a host, so each compilation after the first reuses it. */
let preludeCache: ivm.ExternalCopy<ArrayBuffer> | undefined;

export class Isolate {
  readonly heapMiB: number;
  readonly #isolate: ivm.Isolate;
  readonly #enter: ivm.Reference;
  #inspector: ivm.InspectorSession | undefined;
  #protocolId = 0;
  #events: IsolateEvents | undefined;
  #open = new Set<(end: EntryEnd) => void>();
  #lastEnd: EntryEnd | undefined;

  /**
   * @param prelude source of an expression that evaluates to a function `(send, compute) => enter`
   * @throws where isolated-vm cannot make an isolate of this size
   */
  constructor(heapMiB: number, prelude: string) {
    this.heapMiB = heapMiB;
    this.#isolate = new ivm.Isolate({
      memoryLimit: heapMiB,
      inspector: true,
      onCatastrophicError: (message) => this.#events?.catastrophe(String(message)),
    });
    const context = this.#isolate.createContextSync({ inspector: true });
    // Opening the inspector session from outside the isolate aborts Node 26; from inside a synchronous callback it works.
    context.global.setSync(
      'openInspector',
      new ivm.Callback(() => {
        this.#inspector = this.#isolate.createInspectorSession();
      }),
    );
    context.evalSync('openInspector(); delete globalThis.openInspector; 0', { timeout: INSTALL_TIMEOUT_MS });
    if (this.#inspector !== undefined) this.#inspector.onResponse = this.#inspector.onNotification = () => {};
    context.global.setSync('send', new ivm.Callback(this.#receive, { ignored: true } as object));
    context.global.setSync('compute', new ivm.Callback(this.#compute));
    const script = this.#isolate.compileScriptSync(
      `(() => { const s = globalThis.send, c = globalThis.compute; delete globalThis.send; delete globalThis.compute; return (${prelude})(s, c); })()`,
      {
        filename: 'pyrepl3:prelude',
        ...(preludeCache === undefined ? { produceCachedData: true } : { cachedData: preludeCache }),
      },
    );
    const produced = (script as { cachedData?: ivm.ExternalCopy<ArrayBuffer> }).cachedData;
    if (preludeCache === undefined && produced !== undefined) preludeCache = produced;
    this.#enter = script.runSync(context, { reference: true, timeout: INSTALL_TIMEOUT_MS }) as ivm.Reference;
    script.release();
  }

  /** From now on messages of the guest go to `events`. */
  listen(events: IsolateEvents): void {
    this.#events = events;
  }

  readonly #receive = (kind: unknown, a: unknown, b: unknown, c: unknown): void => this.#events?.message(kind, a, b, c);
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
        resolve(end);
      };
      this.#open.add(settle);
      this.#enter.apply(undefined, args as unknown[], { timeout: Math.max(1, Math.ceil(timeoutMs)) }).then(
        (text) => settle({ end: 'returned', text: typeof text === 'string' ? text : '' }),
        (error: unknown) => settle(this.#endOf(error)),
      );
    });
  }

  /** What the rejection of an entry means. isolated-vm may reject with anything, a primitive or null included. */
  #endOf(error: unknown): EntryEnd {
    const { name, message, stack } = (
      typeof error === 'object' && error !== null ? error : { message: String(error) }
    ) as Partial<Error>;
    const text = typeof message === 'string' ? message : String(message);
    if (this.#isolate.isDisposed || DISPOSED_MESSAGE.test(text)) {
      this.#lastEnd ??= { end: 'disposed', memory: MEMORY_MESSAGE.test(text) };
      for (const settle of [...this.#open]) settle(this.#lastEnd);
      return this.#lastEnd;
    }
    if (error === null || error === undefined) return { end: 'terminated' };
    if (text === TIMEOUT_MESSAGE) return { end: 'timed-out' };
    return {
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
    const interrupted = [...this.#open];
    this.#inspector?.dispatchProtocolMessage(
      JSON.stringify({ id: ++this.#protocolId, method: 'Runtime.terminateExecution' }),
    );
    // The promise of a terminated entry may never settle: an entry queued behind it that does settle proves that it is over.
    const alive = await this.#probe();
    for (const settle of interrupted) settle({ end: 'terminated' });
    return alive;
  }

  #probe(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), PROBE_MS);
      void this.enter(PROBE_MS, ['probe']).then(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  /** CPU time spent in the isolate so far, in milliseconds. Safe to read while it runs. */
  get cpuMs(): number {
    return this.#lastEnd === undefined ? Number(this.#isolate.cpuTime) / 1e6 : 0;
  }

  /** Bytes of heap in use, buffers outside V8's heap included; 0 once disposed. Waits for the entries before it. */
  async heapBytes(): Promise<number> {
    try {
      const heap = await this.#isolate.getHeapStatistics();
      return heap.used_heap_size + heap.externally_allocated_size;
    } catch {
      return 0;
    }
  }

  dispose(): void {
    this.#lastEnd ??= { end: 'disposed', memory: false };
    for (const settle of [...this.#open]) settle(this.#lastEnd);
    this.#events = undefined;
    // isolated-vm never finishes disposing of an isolate whose inspector session is still open.
    this.#inspector?.dispose();
    this.#inspector = undefined;
    if (!this.#isolate.isDisposed) this.#isolate.dispose();
  }
}
