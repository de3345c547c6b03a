/**
 * One JavaScript or TypeScript session inside a host: its isolate, its running cell, its timers and open calls.
 *
 * I1: cells run one at a time in the order of their arrival, and every `run` is answered by exactly one `cell.done` or by `isolate.lost`.
 * I2: guest code runs only while an entry is open, and every entry has a timeout.
 * I3: what comes out of the isolate is checked here before it goes on to the daemon.
 */
import type { EntryEnd, Isolate, Primitive } from '../isolate.ts';
import type { CellLimits, CellOutcome, HostLanguage, IsolateSpec, Question } from '../protocol.ts';
import type { HostSession, SessionPowers } from '../session.ts';
import { answerQuestion } from './answer-question.ts';
import { CellClock } from './cell-clock.ts';
import { computeForGuest } from './host-computation.ts';
import { readOutcome } from './outcome.ts';
import { type PreparedCell, prepareCell } from './prepare.ts';
import type { QueuedCell, RunningCell } from './running-cell.ts';
import { SessionOutput } from './session-output.ts';
import type { CellSource } from './stack.ts';
import { GuestTimers } from './timers.ts';
import { uncaughtRejection, uncaughtThrow } from './uncaught.ts';

/** Sources kept for the stacks of later errors. */
const SOURCES_KEPT = 200;
/** The longest an entry between two cells may take, and an entry of the engine's own. */
const BACKGROUND_ENTRY_MS = 5000;
const ENGINE_ENTRY_MS = 1000;
/** An isolate that is silent for so long after its cell was stopped may have gone over its memory limit unheard. */
const ABANDON_MS_MAX = 2000;
/**
 * A heap reading is an entry of its own. A cell that used this much CPU waits for one; a shorter one is told the last, and a new
 * one is taken behind its back when that has become old.
 */
const HEAP_READING_CPU_MS = 2;
const HEAP_READING_MAX_AGE_MS = 250;

export class JavaScriptSession implements HostSession {
  readonly #isolate: Isolate;
  readonly #language: HostLanguage;
  readonly #spec: IsolateSpec;
  readonly #powers: SessionPowers;
  readonly #timers: GuestTimers;
  readonly #output: SessionOutput;
  readonly #sources = new Map<number, CellSource>();
  readonly #constants = new Set<string>();
  readonly #patientCalls = new Set<number>();
  readonly #queue: QueuedCell[] = [];
  /** Taken from the queue and waiting for the TypeScript compiler to be loaded. */
  #preparing: QueuedCell | undefined;
  #running: RunningCell | undefined;
  #openCalls = 0;
  #activeEntries = 0;
  /** The isolate's CPU time when the last cell ended. */
  #cpuMsWhenIdle = 0;
  #backgroundEntries = 0;
  #stoppingBackground = false;
  #heap = { bytes: 0, atMs: Number.NEGATIVE_INFINITY };
  /** Cells have declared names, or assigned some without. */
  #declared = false;
  #disposed = false;
  readonly #opened: Promise<void>;

  constructor(isolate: Isolate, language: HostLanguage, spec: IsolateSpec, powers: SessionPowers) {
    this.#isolate = isolate;
    this.#language = language;
    this.#spec = spec;
    this.#powers = powers;
    this.#output = new SessionOutput(powers.send, () => this.#running?.cell ?? null);
    this.#timers = new GuestTimers(spec.timersMax, (id) => this.#background(['timer', id]));
    isolate.listen({
      message: (kind, a, b, c) => this.#receive(kind, a, b, c),
      compute: (operation, args) => computeForGuest(operation, args, this.#cellSource),
      catastrophe: (message) => powers.doomed(message),
    });
    this.#opened = this.#enter(ENGINE_ENTRY_MS * 5, ['open', guestSpecJson(spec, powers.nowMs())]).then((end) => {
      if (end.end !== 'returned') this.#lose('stuck', 'The isolate could not be opened.');
    });
    void this.#readHeap();
  }

  // --- entries -------------------------------------------------------------------------------------------------------

  async #enter(timeoutMs: number, [operation, ...args]: readonly [string, ...Primitive[]]): Promise<EntryEnd> {
    const entropy = this.#spec.liveRandom ? crypto.getRandomValues(Buffer.alloc(16)).toString('hex') : '';
    if (this.#activeEntries++ === 0) this.#powers.setActive(true);
    const end = await this.#isolate.enter(timeoutMs, [operation, this.#powers.nowMs(), entropy, ...args]);
    if (--this.#activeEntries === 0) this.#powers.setActive(false);
    if (end.end === 'unhandled') this.#output.write('stderr', uncaughtRejection(end.error, this.#cellSource));
    if (end.end === 'disposed') {
      this.#lose('memory', `The session used more than its ${this.#isolate.heapMiB} MiB of memory.`);
    }
    this.#finishDone();
    return end;
  }

  #finishDone(): void {
    const cell = this.#running;
    if (cell?.done === undefined || cell.ending) return;
    void this.#finish(cell, readOutcome(cell.done, this.#cellSource));
  }

  /** An entry that no cell asked for, or that settles a call: counted to the running cell, otherwise to the session's background. */
  async #background(entry: readonly [string, ...Primitive[]]): Promise<void> {
    const cell = this.#running;
    if (cell === undefined) this.#backgroundEntries++;
    const timeoutMs = cell === undefined ? BACKGROUND_ENTRY_MS : cell.clock.leftMs + ENGINE_ENTRY_MS;
    const end = await this.#enter(timeoutMs, entry);
    if (end.end === 'returned' && end.text !== '')
      this.#output.write('stderr', uncaughtThrow(end.text, this.#cellSource));
    if (cell !== undefined) {
      if (end.end === 'timed-out' || end.end === 'terminated')
        this.#finishStopped(cell, end.end === 'timed-out' ? 'wall' : undefined);
      return;
    }
    this.#backgroundEntries--;
    // A cell that came meanwhile has waited behind this entry, and used nothing yet.
    if (this.#running !== undefined) this.#running.cpuMsAtStart = this.#isolate.cpuMs;
    if (end.end === 'timed-out' || this.#backgroundOverdrawn) this.#endBackground();
  }

  get #backgroundOverdrawn(): boolean {
    return this.#isolate.cpuMs - this.#cpuMsWhenIdle > this.#spec.backgroundCpuMsMax;
  }

  #endBackground(): void {
    this.#cpuMsWhenIdle = this.#isolate.cpuMs;
    this.#timers.clear();
    const used = `used more than ${this.#spec.backgroundCpuMsMax} ms of CPU`;
    this.#output.write('stderr', `What ended cells had left behind ${used}; it was stopped and its timers cleared.\n`);
  }

  /** What code left behind can spin where no timeout of an entry reaches: in a getter of what a promise was rejected with. */
  #stopBackground(): void {
    if (this.#stoppingBackground) return;
    this.#stoppingBackground = true;
    void this.#isolate.terminate().then((alive) => {
      this.#stoppingBackground = false;
      if (!alive)
        this.#lose('stuck', 'What ended cells had left behind runs in code of the engine that cannot be interrupted.');
    });
  }

  get unsettledMs(): number {
    return this.#isolate.unsettledMs;
  }

  settleCpu(share: number): void {
    this.#isolate.settleCpu(share);
  }

  tick(): void {
    const cell = this.#running;
    if (this.#activeEntries === 0) return;
    if (cell === undefined || this.#backgroundEntries > 0) {
      if (this.#backgroundOverdrawn) this.#stopBackground();
    } else if (this.#cpuMs(cell) > cell.limits.cpuMs) this.#stopRunning('cpu');
  }

  // --- cells ---------------------------------------------------------------------------------------------------------

  run(cell: number, source: string, limits: CellLimits): void {
    this.#queue.push({ cell, source, limits });
    this.#next();
  }

  #next(): void {
    if (this.#running !== undefined || this.#preparing !== undefined) return;
    const next = this.#queue.shift();
    if (next === undefined) return;
    const startedMs = this.#powers.monotonicMs();
    // Prepared only now, because what the cells before it declared as constants matters.
    const options = { language: this.#language, cellName: `cell:${next.cell}`, constants: this.#constants };
    const prepared = prepareCell(next.source, options);
    if (!(prepared instanceof Promise)) {
      this.#runPrepared(next, startedMs, prepared);
      return;
    }
    this.#preparing = next;
    void prepared.then((ready) => {
      const stopped = this.#preparing !== next;
      this.#preparing = undefined;
      if (stopped) this.#next();
      else this.#runPrepared(next, startedMs, ready);
    });
  }

  #runPrepared(queued: QueuedCell, startedMs: number, preparation: Awaited<ReturnType<typeof prepareCell>>): void {
    const { cell, source, limits } = queued;
    if (this.#disposed) return;
    const running: RunningCell = {
      cell,
      limits,
      clock: new CellClock(limits.wallMs, this.#powers.monotonicMs, () => this.#stopRunning('wall')),
      startedMs,
      cpuMsAtStart: this.#isolate.cpuMs,
      stoppedBy: undefined,
      done: undefined,
      ending: false,
    };
    this.#running = running;
    this.#output.begin(limits.outputBytes);
    if (!preparation.ok) {
      const { error } = preparation;
      void this.#finish(running, { status: 'error', error: { ...error, code: 'SYNTAX_ERROR', stack: '' } });
      return;
    }
    this.#keepSource(cell, source, preparation.cell);
    void this.#enterCell(running, preparation.cell);
  }

  async #enterCell(running: RunningCell, prepared: PreparedCell): Promise<void> {
    const shape = prepared.mode === 'async' ? 'async' : prepared.boxed ? 'boxed' : 'direct';
    const declarations = prepared.declared
      .map(({ name, kind }) => `${prepared.helpers.includes(name) ? 'helper' : kind} ${name}`)
      .join(',');
    if (prepared.declared.length > 0 || prepared.assigns) this.#declared = true;
    for (const { name, kind } of prepared.declared) {
      if (kind === 'const') this.#constants.add(name);
      else this.#constants.delete(name);
    }
    let end = await this.#enter(running.clock.leftMs + ENGINE_ENTRY_MS, [
      'run',
      running.cell,
      shape,
      running.limits.outputBytes,
      declarations,
      ...prepared.scripts,
    ]);
    if (end.end === 'unhandled') end = await this.#enter(ENGINE_ENTRY_MS, ['collect', running.cell]);
    if (end.end === 'returned' && end.text !== '') await this.#finish(running, readOutcome(end.text, this.#cellSource));
    else if (end.end === 'timed-out' || end.end === 'terminated')
      this.#finishStopped(running, end.end === 'timed-out' ? 'wall' : undefined);
  }

  stop(cell: number): void {
    if (this.#running?.cell === cell) {
      this.#stopRunning('request');
      return;
    }
    const waiting = this.#queue.findIndex((queued) => queued.cell === cell);
    if (waiting !== -1) this.#queue.splice(waiting, 1);
    else if (this.#preparing?.cell === cell) this.#preparing = undefined;
    else return;
    const usage = { cpuMs: 0, wallMs: 0, heapBytes: this.#heap.bytes, stateful: this.#stateful };
    this.#powers.send({ kind: 'cell.done', cell, outcome: { status: 'stopped', by: 'request' }, usage });
  }

  get #stateful(): boolean {
    return this.#declared || this.#timers.size > 0 || this.#openCalls > 0;
  }

  #stopRunning(by: 'cpu' | 'wall' | 'request'): void {
    const cell = this.#running;
    if (cell === undefined || cell.stoppedBy !== undefined) return;
    cell.stoppedBy = by;
    if (this.#activeEntries === 0) {
      this.#finishStopped(cell, by);
      return;
    }
    // To end the engine's own first entry would be to end the session.
    void this.#opened
      .then(() => this.#isolate.terminate())
      .then((alive) => {
        if (alive) this.#finishStopped(cell, by);
        else this.#lose('stuck', 'The cell runs in code of the engine that cannot be interrupted.');
      });
  }

  #finishStopped(cell: RunningCell, by: 'wall' | 'cpu' | 'request' | undefined): void {
    if (this.#running !== cell || cell.ending) return;
    cell.ending = true;
    cell.stoppedBy ??= by;
    const unanswered = setTimeout(() => this.#isolate.checkDisposed(), ABANDON_MS_MAX);
    void this.#enter(ENGINE_ENTRY_MS, ['abandon']).then(() => {
      clearTimeout(unanswered);
      return this.#finish(cell, { status: 'stopped', by: cell.stoppedBy ?? 'request' });
    });
  }

  async #finish(cell: RunningCell, outcome: CellOutcome): Promise<void> {
    if (this.#running !== cell) return;
    cell.clock.stop();
    const wallMs = this.#powers.monotonicMs() - cell.startedMs;
    const cpuMs = this.#cpuMs(cell);
    if (cpuMs > HEAP_READING_CPU_MS) {
      await this.#readHeap();
      if (this.#running !== cell) return;
    } else if (this.#powers.monotonicMs() - this.#heap.atMs > HEAP_READING_MAX_AGE_MS) void this.#readHeap();
    this.#running = undefined;
    this.#cpuMsWhenIdle = this.#isolate.cpuMs;
    const usage = { cpuMs, wallMs, heapBytes: this.#heap.bytes, stateful: this.#stateful };
    // What came to its end while it was being stopped had met its limit all the same.
    const told: CellOutcome = cell.stoppedBy === undefined ? outcome : { status: 'stopped', by: cell.stoppedBy };
    this.#powers.send({ kind: 'cell.done', cell: cell.cell, outcome: told, usage });
    this.#next();
  }

  async #readHeap(): Promise<void> {
    this.#heap.atMs = this.#powers.monotonicMs();
    this.#heap.bytes = await this.#isolate.heapBytes();
  }

  #cpuMs(cell: RunningCell): number {
    return Math.max(0, this.#isolate.cpuMs - cell.cpuMsAtStart);
  }

  #keepSource(cell: number, source: string, prepared: PreparedCell): void {
    this.#sources.set(cell, { source, originalPosition: (line, column) => prepared.originalPosition(line, column) });
    if (this.#sources.size > SOURCES_KEPT) this.#sources.delete(this.#sources.keys().next().value as number);
  }

  readonly #cellSource = (cell: number): CellSource | undefined => this.#sources.get(cell);

  // --- what the guest side says --------------------------------------------------------------------------------------

  #receive(kind: unknown, a: unknown, b: unknown, c: unknown): void {
    if (this.#disposed) return;
    if (kind === 'out' && (a === 'stdout' || a === 'stderr') && typeof b === 'string') this.#output.write(a, b);
    else if (kind === 'truncated') this.#output.cutByGuest();
    else if (kind === 'display' && typeof a === 'string') this.#output.display(a);
    else if (kind === 'log' && typeof a === 'string' && typeof b === 'string') this.#output.log(a, b);
    else if (kind === 'done' && typeof a === 'number' && typeof b === 'string') {
      if (this.#running?.cell === a) this.#running.done = b;
      if (this.#activeEntries === 0) this.#finishDone();
    } else if (kind === 'call' && typeof a === 'number' && typeof b === 'string' && typeof c === 'string')
      this.#call(a, b, c);
    else if (kind === 'timer' && typeof a === 'number' && typeof b === 'number') this.#timers.start(a, b, c === 1);
    else if (kind === 'untimer' && typeof a === 'number') this.#timers.stop(a);
  }

  #call(call: number, name: string, argsJson: string): void {
    if (this.#openCalls >= this.#spec.pendingCallsMax) return;
    this.#openCalls++;
    if (this.#spec.patient.includes(name)) {
      this.#patientCalls.add(call);
      this.#running?.clock.pause();
    }
    this.#powers.send({ kind: 'call', cell: this.#running?.cell ?? null, call, name, argsJson });
  }

  settleCall(call: number, ok: boolean, json: string): void {
    this.#openCalls--;
    if (this.#patientCalls.delete(call)) this.#running?.clock.resume();
    void this.#background(['settle', call, ok ? 1 : 0, json]);
  }

  setCapabilities(names: readonly string[]): void {
    void this.#enter(ENGINE_ENTRY_MS, ['grant', JSON.stringify(names)]);
  }

  // --- the rest ------------------------------------------------------------------------------------------------------

  ask(id: number, question: Question): void {
    const enter = (...entry: [string, ...Primitive[]]): Promise<EntryEnd> => this.#enter(ENGINE_ENTRY_MS, entry);
    void answerQuestion(question, { language: this.#language, enter, cellSource: this.#cellSource }).then((answer) => {
      if (this.#disposed) return;
      if ('about' in answer) {
        if (answer.about === 'namespace.set') for (const name of answer.names) this.#constants.delete(name);
        this.#powers.send({ kind: 'answer', id, answer });
      } else this.#powers.send({ kind: 'refusal', id, ...answer });
    });
  }

  #lose(by: 'memory' | 'stuck', message: string): void {
    if (this.#disposed) return;
    this.#powers.send({ kind: 'isolate.lost', by, message });
    this.dispose();
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#running?.clock.stop();
    this.#running = undefined;
    this.#queue.length = 0;
    this.#timers.clear();
    this.#powers.setActive(false);
    void this.#isolate.dispose().then((freed) => {
      if (!freed)
        this.#powers.send({
          kind: 'isolate.lost',
          by: 'stuck',
          message: 'The isolate runs in code of the engine that cannot be interrupted.',
        });
    });
  }
}

function guestSpecJson(
  { seed, outputs, capabilities, valueBytesMax, pendingCallsMax }: IsolateSpec,
  nowMs: number,
): string {
  return JSON.stringify({ seed, nowMs, outputs, capabilities, valueBytesMax, pendingCallsMax });
}
