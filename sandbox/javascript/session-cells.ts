/**
 * The cells of one session in a host: waiting, running, stopped, ended.
 *
 * I1: cells run one at a time in the order of their arrival, and every one of them ends once.
 */
import type { EntryEnd, Isolate, Primitive } from '../isolate.ts';
import type { CellLimits, CellOutcome, CellUsage, IsolateImage } from '../protocol.ts';
import type { SessionLanguage } from '../session-language.ts';
import { CellClock } from './cell-clock.ts';
import type { FunctionPlace } from './function-shape.ts';
import type { HeapReading } from './heap-reading.ts';
import type { Preparation, PreparedCell } from './prepare.ts';
import type { QueuedCell, RunningCell } from './running-cell.ts';
import type { Kept } from './session-entries.ts';
import type { CellSource } from './stack.ts';

/** Where functions are looked for: as many sources go with an image. */
const PLACES_CELLS = 50;
const PLACES_CHARACTERS = 262_144;
/** A source that is strict as a whole. */
const STRICT = /^(?:\s|\/\/.*|\/\*[\s\S]*?\*\/)*(['"])use strict\1/;
/** Sources kept for the stacks of later errors. */
const SOURCES_KEPT = 200;
/** An isolate that is silent for so long after its cell was stopped may have gone over its memory limit unheard. */
const ABANDON_MS_MAX = 2000;

/** How much longer than its limits a cell may take that is run again: a machine on which many are is a busy one. */
const REPLAY_SLACK = 2;
const REPLAY_WALL_MS = 60_000;

export interface CellsPowers {
  readonly isolate: Isolate;
  readonly language: Pick<SessionLanguage, 'engineEntryMs' | 'prepare' | 'readOutcome'>;
  readonly heap: Pick<HeapReading, 'after' | 'bytes'>;
  monotonicMs(): number;
  enter(timeoutMs: number, entry: readonly [string, ...Primitive[]], kept?: Kept): Promise<EntryEnd>;
  /** Whether an entry is open. */
  entered(): boolean;
  /** Whether one is open that guest code runs in. */
  computing(): boolean;
  /** Ends what runs now; false where it cannot be ended. */
  terminate(): Promise<boolean>;
  /** A cell begins, with a full allowance of output. */
  began(outputBytes: number): void;
  /** The cell's scripts have run, and it waits for what they have begun. */
  waits(): void;
  /** Timers and calls that code has left behind. */
  pending(): number;
  done(cell: number, outcome: CellOutcome, usage: CellUsage): void;
  /** Code is ended in the middle. */
  torn(why: string): void;
  stuck(message: string): void;
  /** The isolate has gone over its memory limit. */
  outgrown(): void;
}

export class SessionCells {
  readonly #powers: CellsPowers;
  readonly #isolate: Isolate;
  readonly #sources = new Map<number, CellSource>();
  readonly #constants = new Set<string>();
  readonly #queue: QueuedCell[] = [];
  /** Taken from the queue and waiting for the TypeScript compiler to be loaded. */
  #preparing: QueuedCell | undefined;
  #running: RunningCell | undefined;
  /** Cells have declared names, or assigned some without. */
  #declared = false;
  #disposed = false;
  #held = false;

  constructor(powers: CellsPowers) {
    this.#powers = powers;
    this.#isolate = powers.isolate;
  }

  get running(): RunningCell | undefined {
    return this.#running;
  }

  /** Whether a cell is on its way into the isolate, or out of it: what happens next does not depend on anybody else. */
  get changing(): boolean {
    const cell = this.#running;
    return (
      this.#preparing !== undefined ||
      (cell !== undefined && (!cell.awaiting || cell.done !== undefined || cell.ending))
    );
  }

  readonly sourceOf = (cell: number): CellSource | undefined => this.#sources.get(cell);

  /** See `KnownCells`. */
  readonly placeOf = (text: string): FunctionPlace | null | undefined => {
    let characters = 0;
    for (const [cell, { source }] of [...this.#sources].slice(-PLACES_CELLS).reverse()) {
      characters += source.length;
      if (characters > PLACES_CHARACTERS) break;
      const at = source.indexOf(text);
      if (at === -1) continue;
      if (STRICT.test(source)) return null;
      const before = source.slice(0, at).split('\n');
      return [cell, before.length, (before.at(-1)?.length ?? 0) + 1];
    }
    return undefined;
  };

  /** Whether no cell is in the isolate, or on its way there. */
  get idle(): boolean {
    return this.#running === undefined && this.#preparing === undefined && this.#queue.length === 0;
  }

  /** No cell begins before `release`. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.#next();
  }

  /** The isolate goes on from an image of one in which these had run. */
  resume(cells: IsolateImage['cells'], constants: readonly string[]): void {
    this.#declared = true;
    for (const name of constants) this.#constants.add(name);
    for (const [cell, source] of cells)
      this.#keepSource(cell, source, { originalPosition: (line, column) => ({ line, column }) });
  }

  /** Somebody has set these from outside: they are no constants any more. */
  forgetConstants(names: readonly string[]): void {
    for (const name of names) this.#constants.delete(name);
  }

  /** CPU time of the running cell against its limit. */
  checkCpu(): void {
    const cell = this.#running;
    if (cell !== undefined && this.#cpuMs(cell) > cell.limits.cpuMs) this.stopRunning('cpu');
  }

  /** What an awaited cell came to ends it, once the entry that brought it there is over. */
  came(cell: number, outcomeJson: string): void {
    if (this.#running?.cell === cell) this.#running.done = outcomeJson;
    if (!this.#powers.entered()) this.finishDone();
  }

  finishDone(): void {
    const cell = this.#running;
    if (cell?.done === undefined || cell.ending) return;
    void this.#finish(cell, this.#powers.language.readOutcome(cell.done, this.sourceOf));
  }

  dispose(): void {
    this.#disposed = true;
    this.#running?.clock.stop();
    this.#running = undefined;
    this.#queue.length = 0;
  }

  run(cell: number, source: string, limits: CellLimits): void {
    this.#queue.push({ cell, source, limits });
    this.#next();
  }

  /** A cell of a lost isolate, which may take longer than it took there. */
  runAgain(cell: number, source: string, limits: CellLimits): void {
    const { cpuMs, wallMs, outputBytes } = limits;
    const loose = { cpuMs: cpuMs * REPLAY_SLACK, wallMs: wallMs * REPLAY_SLACK + REPLAY_WALL_MS, outputBytes };
    this.#queue.push({ cell, source, limits: loose, ownLimits: limits });
    this.#next();
  }

  /** The isolate has been made: what that took is not the cell's that waited for it. */
  opened(): void {
    const cell = this.#running;
    if (cell === undefined) return;
    cell.cpuMsAtStart = this.#isolate.cpuMs;
    cell.clock.restart(cell.limits.wallMs);
  }

  /** The lost isolate is as it was: a cell that still runs has all of its time again, and no more. */
  goOn(): void {
    const cell = this.#running;
    if (cell === undefined) return;
    cell.limits = cell.ownLimits;
    cell.cpuMsAtStart = this.#isolate.cpuMs;
    cell.clock.restart(cell.limits.wallMs);
  }

  #next(): void {
    if (this.#running !== undefined || this.#preparing !== undefined || this.#held) return;
    const next = this.#queue.shift();
    if (next === undefined) return;
    const startedMs = this.#powers.monotonicMs();
    // Prepared only now, because what the cells before it declared as constants matters.
    const options = { cellName: `cell:${next.cell}`, constants: this.#constants };
    const prepared = this.#powers.language.prepare(next.source, options);
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

  #runPrepared(queued: QueuedCell, startedMs: number, preparation: Preparation): void {
    const { cell, source, limits, ownLimits = limits } = queued;
    if (this.#disposed) return;
    const running: RunningCell = {
      cell,
      limits,
      ownLimits,
      clock: new CellClock(limits.wallMs, this.#powers.monotonicMs, () => this.stopRunning('wall')),
      startedMs,
      cpuMsAtStart: this.#isolate.cpuMs,
      stoppedBy: undefined,
      awaiting: false,
      done: undefined,
      ending: false,
    };
    this.#running = running;
    this.#powers.began(limits.outputBytes);
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
    const { cell, clock, limits } = running;
    const entry = ['run', cell, shape, limits.outputBytes, declarations, ...prepared.scripts] as const;
    let end = await this.#powers.enter(clock.leftMs + this.#powers.language.engineEntryMs, entry, {
      op: 'run',
      ref: cell,
    });
    if (end.end === 'unhandled') end = await this.#powers.enter(this.#powers.language.engineEntryMs, ['collect', cell]);
    if (end.end === 'returned' && end.text !== '')
      await this.#finish(running, this.#powers.language.readOutcome(end.text, this.sourceOf));
    else if (end.end === 'timed-out' || end.end === 'terminated')
      this.finishStopped(running, end.end === 'timed-out' ? 'wall' : undefined);
    else {
      running.awaiting = true;
      this.#powers.waits();
    }
  }

  stop(cell: number): void {
    if (this.#running?.cell === cell) {
      this.stopRunning('request');
      return;
    }
    const waiting = this.#queue.findIndex((queued) => queued.cell === cell);
    if (waiting !== -1) this.#queue.splice(waiting, 1);
    else if (this.#preparing?.cell === cell) this.#preparing = undefined;
    else return;
    const usage = { cpuMs: 0, wallMs: 0, ...this.#holdings };
    this.#powers.done(cell, { status: 'stopped', by: 'request' }, usage);
  }

  get #holdings(): Pick<CellUsage, 'heapBytes' | 'stateful' | 'pending'> {
    const pending = this.#powers.pending();
    return { heapBytes: this.#powers.heap.bytes, stateful: this.#declared || pending > 0, pending };
  }

  stopRunning(by: 'cpu' | 'wall' | 'request'): void {
    const cell = this.#running;
    if (cell === undefined || cell.stoppedBy !== undefined) return;
    cell.stoppedBy = by;
    if (!this.#powers.computing()) {
      this.finishStopped(cell, by);
      return;
    }
    this.#powers.torn(`cell ${cell.cell} was stopped while it ran`);
    void this.#powers.terminate().then((alive) => {
      if (alive) this.finishStopped(cell, by);
      else this.#powers.stuck('The cell runs in code of the engine that cannot be interrupted.');
    });
  }

  finishStopped(cell: RunningCell, by: 'wall' | 'cpu' | 'request' | undefined): void {
    if (this.#running !== cell || cell.ending) return;
    cell.ending = true;
    cell.stoppedBy ??= by;
    const unanswered = setTimeout(() => this.#isolate.checkDisposed(), ABANDON_MS_MAX);
    void this.#powers
      .enter(this.#powers.language.engineEntryMs, ['abandon'], { op: 'abandon', ref: cell.cell })
      .then(() => {
        clearTimeout(unanswered);
        return this.#finish(cell, { status: 'stopped', by: cell.stoppedBy ?? 'request' });
      });
  }

  async #finish(cell: RunningCell, outcome: CellOutcome): Promise<void> {
    if (this.#running !== cell) return;
    cell.ending = true;
    cell.clock.stop();
    const wallMs = this.#powers.monotonicMs() - cell.startedMs;
    const cpuMs = this.#cpuMs(cell);
    const reading = this.#powers.heap.after(cpuMs);
    if (reading !== undefined) await reading;
    if (this.#running !== cell) return;
    // isolated-vm looks at the memory once an entry has ended: it is the cell that used it whose answer does not count.
    if (reading !== undefined && this.#isolate.checkDisposed()) {
      this.#powers.outgrown();
      return;
    }
    this.#running = undefined;
    const usage = { cpuMs, wallMs, ...this.#holdings };
    // What came to its end while it was being stopped had met its limit all the same.
    const told: CellOutcome = cell.stoppedBy === undefined ? outcome : { status: 'stopped', by: cell.stoppedBy };
    this.#powers.done(cell.cell, told, usage);
    this.#next();
  }

  #cpuMs(cell: RunningCell): number {
    return Math.max(0, this.#isolate.cpuMs - cell.cpuMsAtStart);
  }

  #keepSource(cell: number, source: string, prepared: Pick<PreparedCell, 'originalPosition'>): void {
    this.#sources.set(cell, { source, originalPosition: (line, column) => prepared.originalPosition(line, column) });
    if (this.#sources.size > SOURCES_KEPT) this.#sources.delete(this.#sources.keys().next().value as number);
  }
}
