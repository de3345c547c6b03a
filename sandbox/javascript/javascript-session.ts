/**
 * One JavaScript or TypeScript session inside a host: its isolate, its running cell, its timers and open calls.
 *
 * I1: cells run one at a time in the order of their arrival, and every `run` is answered by exactly one `cell.done` or by `isolate.lost`.
 * I2: guest code runs only while an entry is open, and every entry has a timeout.
 * I3: what comes out of the isolate is checked here before it goes on to the daemon.
 * I4: the daemon is told of an entry before it is told of anything that the entry caused.
 */
import type { EntryEnd, Isolate, Primitive } from '../isolate.ts';
import type { Answer, CapabilityGrant, CellLimits, IsolateSpec, Question, ReplayStep } from '../protocol.ts';
import type { HostSession, LostIsolate, SessionMessage, SessionPowers } from '../session.ts';
import type { SessionLanguage } from '../session-language.ts';
import { answerQuestion } from './answer-question.ts';
import { BackgroundWork } from './background-work.ts';
import { guestOpening } from './guest-opening.ts';
import { HeapReading } from './heap-reading.ts';
import { computeForGuest, STACK_LENGTH_MAX } from './host-computation.ts';
import { OpenCalls } from './open-calls.ts';
import { replay } from './replay.ts';
import { SessionCells } from './session-cells.ts';
import { type Kept, SessionEntries } from './session-entries.ts';
import { SessionImage } from './session-image.ts';
import { SessionOutput } from './session-output.ts';
import { userPosition } from './stack.ts';
import { GuestTimers } from './timers.ts';
import { uncaughtRejection, uncaughtThrow } from './uncaught.ts';

/** The longest an entry between two cells may take. */
const BACKGROUND_ENTRY_MS = 5000;
const FATAL_MAX = 1000;
/** The questions that may change what guest code sees, and are made again when a lost isolate is rebuilt. */
const KEPT_QUESTIONS: ReadonlySet<string> = new Set(['get', 'set', 'delete']);

export class JavaScriptSession implements HostSession {
  readonly #isolate: Isolate;
  readonly #language: SessionLanguage;
  readonly #heapMiB: number;
  readonly #powers: SessionPowers;
  readonly #timers: GuestTimers;
  readonly #output: SessionOutput;
  readonly #calls: OpenCalls;
  readonly #cells: SessionCells;
  readonly #entries: SessionEntries;
  readonly #background: BackgroundWork;
  readonly #send: SessionPowers['send'];
  /** Settles at the next end of an entry or a cell. */
  #turn = Promise.withResolvers<void>();
  #disposed = false;
  readonly #image: SessionImage;
  readonly #opened: Promise<void>;
  #isOpen = false;
  /** What is to be done again of a lost isolate's life, one piece after another. */
  #replayed: Promise<string | null> = Promise.resolve(null);

  /** @param again the lost isolate that this one is to become: steps of its life follow */
  constructor(
    isolate: Isolate,
    language: SessionLanguage,
    spec: IsolateSpec,
    powers: SessionPowers,
    again: LostIsolate | undefined,
  ) {
    const openedMs = again?.openedMs;
    this.#isolate = isolate;
    this.#language = language;
    this.#heapMiB = spec.heapMiB;
    this.#powers = powers;
    this.#entries = new SessionEntries(isolate, spec.liveRandom, {
      nowMs: powers.nowMs,
      setActive: powers.setActive,
      tell: () => this.#tellLife(),
    });
    this.#background = new BackgroundWork(isolate, spec.backgroundCpuMsMax);
    this.#send = (message) => this.#tell(message);
    this.#output = new SessionOutput(this.#send, () => this.#cells.running?.cell ?? null);
    this.#timers = new GuestTimers(spec.timersMax, (id, origin) =>
      this.#enterBackground(['timer', id, origin], { op: 'timer', ref: id }),
    );
    this.#calls = new OpenCalls(spec.pendingCallsMax, spec.patient);
    isolate.listen({
      message: (kind, a, b, c, d, e) => this.#receive(kind, a, b, c, d, e),
      compute: (operation, args) => computeForGuest(operation, args, this.#cells),
      catastrophe: (by, message) => powers.doomed(by, message),
    });
    if (openedMs !== undefined) this.#timers.hold();
    // The time that the isolate was opened at is told twice, and has to be the same.
    const nowMs = openedMs ?? Math.floor(powers.nowMs());
    this.#entries.give({ nowMs, entropy: '' }, openedMs !== undefined);
    const opening = guestOpening(spec, nowMs, again?.opened);
    this.#opened = this.#enter(this.#language.engineEntryMs * 5, opening, { op: 'open', ref: 0 }).then((end) => {
      if (end.end !== 'returned') this.#lose('stuck', 'The isolate could not be opened.');
      this.#isOpen = true;
      this.#background.reset();
      this.#cells.opened();
    });
    this.#cells = this.#makeCells();
    this.#image = new SessionImage({
      ...{ isolate, language, spec, cells: this.#cells },
      openedMs: nowMs,
      enter: (entry) => this.#enter(language.engineEntryMs * 5, entry),
      another: powers.another,
    });
    if (again?.image !== undefined) this.#cells.resume(again.image.cells, again.opened?.constants ?? []);
  }

  #makeCells(): SessionCells {
    const { monotonicMs } = this.#powers;
    return new SessionCells({
      isolate: this.#isolate,
      language: this.#language,
      heap: new HeapReading(this.#isolate, monotonicMs),
      monotonicMs,
      enter: (timeoutMs, entry, kept) => this.#enter(timeoutMs, entry, kept),
      entered: () => this.#entries.active > 0,
      computing: () => this.#entries.keptActive > 0,
      terminate: () => this.#opened.then(() => this.#isolate.terminate()),
      began: (outputBytes) => this.#output.begin(outputBytes),
      waits: () => this.#turned(),
      pending: () => this.#timers.size + this.#calls.size,
      done: (cell, outcome, usage) => {
        this.#background.reset();
        this.#send({ kind: 'cell.done', cell, outcome, usage });
        this.#turned();
      },
      torn: (why) => this.#entries.record({ op: 'torn', why }),
      stuck: (message) => this.#lose('stuck', message),
      outgrown: () => this.#outgrown(),
    });
  }

  #tell(message: SessionMessage): void {
    this.#tellLife();
    this.#powers.send(message);
  }

  #tellLife(): void {
    const records = this.#entries.take();
    if (records.length > 0) this.#powers.send({ kind: 'isolate.lived', records });
  }

  // --- entries -------------------------------------------------------------------------------------------------------

  async #enter(timeoutMs: number, entry: readonly [string, ...Primitive[]], kept?: Kept): Promise<EntryEnd> {
    const end = await this.#entries.enter(timeoutMs, entry, kept);
    if (end.end === 'unhandled') this.#output.write('stderr', uncaughtRejection(end.error, this.#cells.sourceOf));
    if (end.end === 'disposed') this.#outgrown();
    this.#cells.finishDone();
    this.#turned();
    return end;
  }

  #turned(): void {
    this.#turn.resolve();
    this.#turn = Promise.withResolvers();
  }

  /** An entry that no cell asked for, or that settles a call: counted to the running cell, otherwise to the session's background. */
  async #enterBackground(entry: readonly [string, ...Primitive[]], kept: Kept): Promise<void> {
    const cell = this.#cells.running;
    if (cell === undefined) this.#background.begin();
    const timeoutMs = cell === undefined ? BACKGROUND_ENTRY_MS : cell.clock.leftMs + this.#language.engineEntryMs;
    const end = await this.#enter(timeoutMs, entry, kept);
    if (end.end === 'returned' && end.text !== '')
      this.#output.write('stderr', uncaughtThrow(end.text, this.#cells.sourceOf));
    if (cell !== undefined) {
      if (end.end === 'timed-out' || end.end === 'terminated')
        this.#cells.finishStopped(cell, end.end === 'timed-out' ? 'wall' : undefined);
      return;
    }
    this.#background.end();
    // A cell that came meanwhile has waited behind this entry, and used nothing yet.
    if (this.#cells.running !== undefined) this.#cells.running.cpuMsAtStart = this.#isolate.cpuMs;
    if (end.end === 'timed-out' || this.#background.overdrawn) this.#endBackground();
  }

  #endBackground(): void {
    this.#background.reset();
    this.#timers.clear();
    this.#entries.record({ op: 'torn', why: 'what ended cells had left behind was stopped' });
    this.#output.write('stderr', this.#background.stopNotice);
  }

  get unsettledMs(): number {
    return this.#isolate.unsettledMs;
  }

  settleCpu(share: number): void {
    this.#isolate.settleCpu(share);
  }

  tick(): void {
    const cell = this.#cells.running;
    // To end the engine's own first entry would be to end the session; an image takes what it takes.
    if (this.#entries.active === 0 || !this.#isOpen || this.#image.taking) return;
    if (cell === undefined || this.#background.running) {
      if (this.#background.overdrawn)
        this.#background.stop(() =>
          this.#lose(
            'stuck',
            'What ended cells had left behind runs in code of the engine that cannot be interrupted.',
          ),
        );
    } else this.#cells.checkCpu();
  }

  // --- cells ---------------------------------------------------------------------------------------------------------

  run(cell: number, source: string, limits: CellLimits): void {
    this.#cells.run(cell, source, limits);
  }

  stop(cell: number): void {
    this.#cells.stop(cell);
  }

  // --- what the guest side says --------------------------------------------------------------------------------------

  #receive(kind: unknown, a: unknown, b: unknown, c: unknown, d: unknown, e: unknown): void {
    if (this.#disposed) return;
    if (kind === 'out' && (a === 'stdout' || a === 'stderr') && typeof b === 'string') this.#output.write(a, b);
    else if (kind === 'truncated') this.#output.cutByGuest();
    else if (kind === 'display' && typeof a === 'string') this.#output.display(a);
    else if (kind === 'log' && typeof a === 'string' && typeof b === 'string') this.#output.log(a, b);
    else if (kind === 'done' && typeof a === 'number' && typeof b === 'string') {
      this.#cells.came(a, b);
    } else if (kind === 'call' && typeof a === 'number' && typeof b === 'string' && typeof c === 'string')
      this.#call({ call: a, name: b, argsJson: c, stack: d, origin: originOf(e) });
    else if (kind === 'denied' && typeof a === 'string')
      this.#send({ kind: 'denied', cell: this.#cells.running?.cell ?? null, name: a });
    else if (kind === 'refused' && typeof a === 'string')
      this.#send({ kind: 'capabilities.refused', names: a.split(',') });
    else if (kind === 'timer' && typeof a === 'number' && typeof b === 'number')
      this.#timers.start(a, b, c === 1, { nowMs: this.#entries.nowMs, origin: originOf(d) });
    else if (kind === 'image' && typeof a === 'string') this.#image.receive(a);
    else if (kind === 'untimer' && typeof a === 'number') this.#timers.stop(a);
    else if (kind === 'fatal' && typeof a === 'string') this.#lose('memory', fatalMessage(a));
    else if (kind === 'reads' && typeof a === 'string' && typeof b === 'number')
      this.#entries.record({ op: 'reads', reads: a, entry: b });
  }

  #call({ call, name, argsJson, stack, origin }: GuestCall): void {
    const opened = this.#calls.open(call, name, argsJson, origin);
    if (opened === undefined) return;
    if (opened.patient) this.#cells.running?.clock.pause();
    const position =
      typeof stack === 'string' && stack !== ''
        ? userPosition(stack.slice(0, STACK_LENGTH_MAX), this.#cells.sourceOf)
        : undefined;
    const message = { kind: 'call', cell: this.#cells.running?.cell ?? null, origin, call, name, argsJson } as const;
    this.#send(position === undefined ? message : { ...message, position });
  }

  settleCall(call: number, ok: boolean, json: string): boolean {
    const opened = this.#calls.settle(call);
    if (opened === undefined) return false;
    if (opened.patient) this.#cells.running?.clock.resume();
    const entry = ['settle', call, ok ? 1 : 0, json, opened.origin] as const;
    void this.#enterBackground(entry, { op: 'settle', ref: call });
    return true;
  }

  setCapabilities(granted: CapabilityGrant, number: number): void {
    const { capabilities, patient, docs } = granted;
    this.#calls.patient = patient;
    this.#image.granted = granted;
    const grant = JSON.stringify({ capabilities, patient });
    void this.#enter(this.#language.engineEntryMs, ['grant', grant, JSON.stringify(docs)], {
      op: 'grant',
      ref: number,
    });
  }

  // --- the rest ------------------------------------------------------------------------------------------------------

  ask(id: number, question: Question): void {
    if (question.about === 'image') {
      void this.#takeImage().then((answer) => {
        if (!this.#disposed) this.#send({ kind: 'answer', id, answer });
      });
      return;
    }
    const enter = (...entry: [string, ...Primitive[]]): Promise<EntryEnd> =>
      this.#enter(
        this.#language.engineEntryMs,
        entry,
        KEPT_QUESTIONS.has(entry[0]) ? { op: 'ask', ref: id } : undefined,
      );
    void answerQuestion(question, {
      language: this.#language,
      enter,
      cellSource: this.#cells.sourceOf,
      pending: () => ({ timers: this.#timers.size, entered: this.#entries.active > 0 }),
    }).then((answer) => {
      if (this.#disposed) return;
      if ('about' in answer) {
        if (answer.about === 'namespace.set') this.#cells.forgetConstants(answer.names);
        this.#send({ kind: 'answer', id, answer });
      } else this.#send({ kind: 'refusal', id, ...answer });
    });
  }

  async #takeImage(): Promise<Answer> {
    const { made } = this.#entries;
    const busy =
      !this.#cells.idle || this.#timers.size > 0 || this.#calls.size > 0 || this.#entries.active > 0 || !this.#isOpen;
    if (busy) return { about: 'image', image: null, refused: 'something of it is under way', since: 0 };
    // Meanwhile the isolate holds what is none of the user's.
    this.#cells.hold();
    const taken = await this.#image.take().finally(() => {
      this.#background.reset();
      this.#cells.release();
    });
    return { about: 'image', image: null, refused: '', ...taken, since: this.#entries.made - made };
  }

  // --- a lost isolate made again -------------------------------------------------------------------------------------

  replay(steps: readonly ReplayStep[], last: boolean): void {
    this.#replayed = this.#replayed
      .then((problem) => problem ?? replay(this.#asReplayed, steps))
      .then((problem) => {
        if ((problem === null && !last) || this.#disposed) return problem;
        if (problem === null) this.#goOn();
        this.#powers.send({ kind: 'isolate.replayed', problem });
        return problem ?? 'it is over';
      });
  }

  /** From now on time passes again, and what happens is new. */
  #goOn(): void {
    this.#background.reset();
    this.#timers.release(this.#powers.nowMs());
    this.#cells.goOn();
  }

  get #asReplayed(): Parameters<typeof replay>[0] {
    return {
      language: this.#language,
      entries: this.#entries,
      run: ({ ref, source, limits }) => this.#cells.runAgain(ref, source, limits),
      fireTimer: (id) => this.#timers.fire(id, this.#entries),
      settle: ({ ref, ok, json }) => this.settleCall(ref, ok, json),
      grant: ({ grant, ref }) => this.setCapabilities(grant, ref),
      ask: ({ ref, question }) => this.ask(ref, question),
      abandon: (cell) => {
        if (this.#cells.running?.cell !== cell) return false;
        this.#cells.finishStopped(this.#cells.running, 'request');
        return true;
      },
      settled: () => this.#settled(),
      readReads: (reads) => void this.#enter(this.#language.engineEntryMs, ['reads', reads]),
    };
  }

  async #settled(): Promise<boolean> {
    while (!this.#disposed && (this.#entries.active > 0 || this.#cells.changing)) await this.#turn.promise;
    return this.#cells.running === undefined;
  }

  #outgrown(): void {
    this.#lose('memory', `The session used more than its ${this.#heapMiB} MiB of memory.`);
  }

  #lose(by: 'memory' | 'stuck', message: string): void {
    if (this.#disposed) return;
    this.#powers.send({ kind: 'isolate.lost', by, message });
    this.dispose();
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#cells.dispose();
    this.#timers.clear();
    this.#powers.setActive(false);
    this.#turned();
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

interface GuestCall {
  readonly call: number;
  readonly name: string;
  readonly argsJson: string;
  readonly stack: unknown;
  readonly origin: number;
}

const originOf = (cell: unknown): number => (Number.isSafeInteger(cell) && (cell as number) > 0 ? (cell as number) : 0);

const fatalMessage = (problem: string): string => `The interpreter cannot go on: ${problem.slice(0, FATAL_MAX)}`;
