/**
 * Keeps a session's isolate: opens it, makes a lost one again from its journal, and says what is gone where it cannot.
 *
 * I1: a lost isolate is made again before anything else runs in the session, or its client is told that the state is gone.
 * I2: a cell that ended with its isolate is as if it had never begun; one that only shared its fate goes on.
 */
import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { EventBody, FaultCode } from '../../client/protocol.ts';
import type { HostLanguage, PackageLock } from '../../sandbox/protocol.ts';
import type { Audit } from '../audit/audit-log.ts';
import type { JournalRecord, MarkRecord } from '../durability/journal-records.ts';
import { rebuild } from '../durability/rebuild.ts';
import type { Rebuilt } from '../durability/rebuilt.ts';
import { Fault } from '../fault.ts';
import type { HostPool, IsolateLoss } from '../hosts/host-pool.ts';
import type { Packages } from '../packages/packages.ts';
import type { CellQueue } from './cell-queue.ts';
import type { Execution } from './execution.ts';
import { plainError } from './execution-error.ts';
import { lossCode } from './isolate-loss.ts';
import type { SessionEffects } from './session-effects.ts';
import { isolatePlan, type SessionGrant } from './session-grant.ts';
import { type IsolateEvents, SessionIsolate } from './session-isolate.ts';
import type { SessionLife } from './session-life.ts';
import { SessionSleep } from './session-sleep.ts';

export interface KeeperPowers {
  readonly sessionId: string;
  readonly language: HostLanguage;
  readonly argv: readonly string[] | null;
  readonly pool: Pick<HostPool, 'open'>;
  readonly packages: Pick<Packages, 'lockOf' | 'problemOf'>;
  readonly audit: Pick<Audit, 'note'>;
  readonly life: SessionLife;
  readonly grant: () => SessionGrant;
  readonly cells: () => CellQueue;
  readonly effects: () => SessionEffects;
  readonly onMessage: IsolateEvents['onMessage'];
  readonly onCellDone: IsolateEvents['onCellDone'];
  readonly emit: (event: EventBody) => void;
  /** Everything that was asked and held because of the isolate ends with it. */
  readonly forget: () => void;
  /** What was written so far leaves. */
  readonly flush: () => void;
  /** What was written and has not left is written again. */
  readonly unsay: () => void;
  readonly violated: (message: string) => void;
  /** All that the journal holds of the session. */
  readonly records: () => readonly JournalRecord[];
}

/** How often in a row an isolate may be lost while it is made again; from the second time on it is alone in its host. */
const ATTEMPTS_MAX = 4;
/** Hosts that have to die under a cell until it is to blame: without it going any further, and in all. */
const CRASHES_MAX = 3;
const CRASHES_IN_ALL_MAX = 16;

export class IsolateKeeper {
  readonly isolate: SessionIsolate;
  readonly sleep: SessionSleep;
  readonly #powers: KeeperPowers;
  readonly #life: SessionLife;
  /** Whether the isolate holds anything that a user would miss. */
  stateful = false;
  /** What a lost isolate took with it, until the client has been told in an answer. */
  #loss: string | undefined;
  /** What the isolate was made with. */
  #packages: readonly PackageLock[] = [];
  /** The isolate was given up, and is made again when it is needed. */
  #asleep = false;
  /** The cell that was running when its host died, with nobody else to blame, and how often that was so. */
  #crashed = { cell: 0, entries: 0, times: 0, allTimes: 0 };
  /** Settles when the isolate that is made again is as it was, or is given up; undefined while none is. */
  #again: PromiseWithResolvers<void> | undefined;
  #attempts = 0;

  constructor(powers: KeeperPowers) {
    this.#powers = powers;
    this.#life = powers.life;
    this.isolate = new SessionIsolate(powers.pool, powers.life, {
      onMessage: powers.onMessage,
      onCellDone: powers.onCellDone,
      onLost: (loss) => this.#lost(loss),
      onReplayed: (problem) => this.#replayed(problem),
      get executing() {
        return powers.life.replaying || powers.cells().running !== undefined;
      },
    });
    this.sleep = new SessionSleep({
      isolate: this.isolate,
      life: powers.life,
      caughtUp: () => this.caughtUp(),
      canWait: () => powers.cells().canWait && powers.effects().onlyPatient,
      flush: powers.flush,
      giveUp: () => {
        this.isolate.drop('The session has gone to sleep.');
        this.#asleep = true;
      },
    });
  }

  /** Whether the isolate can have begun what it was given last. */
  get ready(): boolean {
    return this.isolate.ready && !this.#life.replaying;
  }

  takeLoss(): string | undefined {
    this.wake();
    const loss = this.#loss;
    this.#loss = undefined;
    return loss;
  }

  /** A session that sleeps is about to be used: where what it was made with is gone, so is its state. */
  wake(): void {
    const problem = this.#asleep ? this.#powers.packages.problemOf(this.#packages) : undefined;
    if (problem !== undefined) this.#lostState('SESSION_LOST', `The session cannot be made again: ${problem}.`);
  }

  open(): void {
    this.wake();
    if (this.isolate.isOpen) return;
    if (this.#asleep) this.#recall();
    const { grant, effects, language, argv, cells } = this.#powers;
    const packages = language === 'python' ? this.#powers.packages.lockOf(grant().level) : [];
    const plan = isolatePlan(grant(), effects(), language, { seed: randomBytes(16).toString('hex'), argv, packages });
    const { cellCpuMsMax, cellOutputBytesMax } = grant().limits;
    const lost = this.#life.stepsAgain({ cpuMs: cellCpuMsMax, outputBytes: cellOutputBytesMax });
    if (lost === undefined) {
      this.#life.begin(plan.spec, effects().kept, cells().unended);
      this.#recordPackages(packages);
      this.isolate.open(plan);
      return;
    }
    this.#again ??= Promise.withResolvers();
    // What help() says is not part of the state, and may have changed since.
    this.isolate.openAgain(plan.cordon, { ...lost, spec: { ...lost.spec, docs: plan.spec.docs } });
    const { capabilities, patient } = effects().isolateCapabilities;
    const changed = (['capabilities', 'patient'] as const).some(
      (list) => lost.granted[list].join() !== { capabilities, patient }[list].join(),
    );
    if (changed) this.isolate.setCapabilities(effects().isolateCapabilities);
  }

  #recordPackages(packages: readonly PackageLock[]): void {
    const { audit, sessionId } = this.#powers;
    if (packages.length + this.#packages.length === 0) return;
    this.#packages = packages;
    const texts = packages.map(({ name, version, sha256 }) => `${name}==${version} sha256:${sha256}`);
    audit.note('session.packages', { sessionId, packages: texts });
  }

  #recall(records = this.#powers.records()): Rebuilt | undefined {
    this.#asleep = false;
    const rebuilt = this.#life.recall(records);
    this.#packages = rebuilt?.spec.packages ?? [];
    for (const call of rebuilt?.calls.values() ?? []) call.counted = true;
    return rebuilt;
  }

  /** Resolves when no lost isolate is being made again, and what its calls ask of people has been asked again. */
  async caughtUp(): Promise<void> {
    if (this.#again === undefined) return;
    await this.#again.promise;
    // A call comes to its question by steps that wait for nothing but each other.
    await setImmediate();
  }

  #replayed(problem: string | null): void {
    if (problem !== null) {
      this.diverged(problem);
      return;
    }
    this.#attempts = 0;
    this.#life.caughtUp();
    this.#powers.cells().timeAgain();
    this.#endAgain();
  }

  #endAgain(): void {
    this.#again?.resolve();
    this.#again = undefined;
  }

  /** What an earlier daemon knew of the isolate, which sleeps until it is needed; undefined where there was none. */
  recall(records: readonly JournalRecord[]): Rebuilt | undefined {
    const rebuilt = this.#life.recall(records);
    this.stateful = (rebuilt?.entries.length ?? 0) > 0;
    this.#packages = rebuilt?.spec.packages ?? [];
    this.#asleep = rebuilt !== undefined;
    this.#life.letGo();
    return rebuilt;
  }

  /** Whether an earlier daemon's isolate cannot be made again; then its state is gone. */
  refuses(rebuilt: Rebuilt): boolean {
    const why = this.#problemOf(rebuilt);
    if (why === undefined) return false;
    this.#lostState('SESSION_LOST', `The daemon was restarted, and the session cannot be made again: ${why}.`);
    return true;
  }

  /** Why what the journal has of an isolate cannot be made again. */
  #problemOf(rebuilt: Rebuilt | undefined): string | undefined {
    return rebuilt && (rebuilt.torn ?? this.#powers.packages.problemOf(rebuilt.spec.packages ?? []));
  }

  /** The session begins anew: nothing of the isolate is needed any more. */
  drop(): void {
    this.isolate.drop('The session was reset.');
    this.#powers.forget();
    this.#life.forget();
    this.#asleep = false;
    this.#endAgain();
    this.stateful = false;
    this.#loss = undefined;
  }

  #lost(loss: IsolateLoss): void {
    const cells = this.#powers.cells();
    const execution = cells.running;
    const code = lossCode(loss, execution, (running) => cells.usedMs(running));
    if (code === 'SECURITY_VIOLATION') {
      this.#lostState(code, loss.message);
      this.#powers.violated(loss.message);
      return;
    }
    if (this.#life.replaying && !this.#mayTryAgain(loss, execution)) {
      if (this.#makeWithoutImage()) return;
      this.#lostState(code, `${loss.message} It was lost while it was made again.`);
      return;
    }
    const blamed = loss.culprit && !this.#mayHaveBeenKilled(code, execution) ? execution : undefined;
    if (blamed === undefined) this.#powers.unsay();
    const problem = this.#makeAgain(code, blamed && this.#cutAway(blamed.cell));
    if (problem !== null) this.#lostState(code, this.stateful ? `${loss.message} ${problem}` : loss.message);
    else if (blamed === undefined) cells.goOn();
    else cells.finish({ status: 'error', error: plainError(code, loss.message, { stateLost: false }) });
  }

  /** Whether an isolate that was lost while it was made again is worth another attempt. */
  #mayTryAgain({ by, culprit }: IsolateLoss, execution: Execution | undefined): boolean {
    // A cell that is to blame is cut away, and what was before it has been survived once.
    if (culprit && execution !== undefined && this.#life.brings(execution.cell)) return true;
    this.#attempts += 1;
    if (this.#attempts > 1) this.isolate.quarantine();
    return by === 'host' && this.#attempts < ATTEMPTS_MAX;
  }

  /**
   * Whether the host of the cell may have died of something else. Whatever kills hosts may kill the one as well that the cell was to
   * go on in, so it takes three of them.
   */
  #mayHaveBeenKilled(code: FaultCode, execution: Execution | undefined): boolean {
    if (code !== 'HOST_CRASHED' || execution === undefined) return false;
    const { cell } = execution;
    const { entries } = this.#life;
    const before = this.#crashed.cell === cell ? this.#crashed : { cell, entries, times: 0, allTimes: 0 };
    const times = entries > before.entries ? 1 : before.times + 1;
    this.#crashed = { cell, entries, times, allTimes: before.allTimes + 1 };
    return times < CRASHES_MAX && before.allTimes < CRASHES_IN_ALL_MAX;
  }

  /**
   * The cell is as if it had never begun. That is committed together with its end, which follows in this turn: a daemon that dies
   * between the two would not know the execution any more, and whoever asks for it again would have all of it done twice.
   *
   * @returns the records of the journal with it
   */
  #cutAway(cell: number): readonly JournalRecord[] {
    this.#powers.flush();
    const records = this.#powers.records();
    return [...records, this.#life.cut(cell)];
  }

  /** Makes the isolate again from what the journal has of it now, or answers why that cannot be done. */
  #makeAgain(code: FaultCode | null, records?: readonly JournalRecord[]): string | null {
    const { audit, effects, cells, sessionId } = this.#powers;
    cells().isolateGone();
    const rebuilt = this.#recall(records);
    const problem = this.#problemOf(rebuilt);
    if (problem !== undefined) return `It cannot be made again: ${problem}.`;
    effects().endForgotten();
    if (code !== null) audit.note('session.recovered', { sessionId, code, entries: rebuilt?.entries.length ?? 0 });
    this.open();
    return null;
  }

  // --- taken back ----------------------------------------------------------------------------------------------------

  /** The session is as it was before the cell, which has failed, or the answer says why it cannot be. */
  rollBack(cell: number): string | null {
    const { ran, tornBefore } = this.#life.latestRun(cell);
    if (tornBefore !== undefined) return tornBefore;
    if (!ran) return null;
    const problem = this.#tornBy({ r: 'cut', cell });
    if (problem !== undefined) return problem;
    const cut = this.#cutAway(cell);
    this.isolate.drop('The session was taken back to before its last cell.');
    this.#makeAgain(null, cut);
    return null;
  }

  /** Why the session could not be made again from where the record would take it back to. */
  #tornBy(record: JournalRecord): string | undefined {
    return this.#problemOf(rebuild([...this.#powers.records(), record], this.#life.images.has));
  }

  /**
   * The session is as it was at the mark. Fails with INVALID_PARAMS where there is none, CONFLICT where it stays as it is because
   * something would be done twice, SESSION_LOST where it cannot be made again.
   */
  async returnTo(name: string): Promise<void> {
    if (!this.marks.some((mark) => mark.name === name))
      throw new Fault(
        'INVALID_PARAMS',
        `The session has no checkpoint ${JSON.stringify(name)}; checkpoint.list names those it has.`,
        { name },
      );
    const problem = this.#tornBy({ r: 'return', name });
    if (problem !== undefined) throw new Fault('CONFLICT', `The session cannot be taken back: ${problem}.`, { name });
    this.#life.returnTo(name);
    this.isolate.drop('The session was taken back to a checkpoint.');
    const lost = this.#makeAgain(null);
    if (lost !== null) this.#lostState('SESSION_LOST', lost);
    await this.caughtUp();
    const loss = this.takeLoss();
    if (loss !== undefined) throw new Fault('SESSION_LOST', loss);
  }

  /** The places that the session can be taken back to, oldest first. */
  get marks(): readonly MarkRecord[] {
    return this.#life.marks;
  }

  /** Why the state of now could not be had again. */
  get torn(): string | undefined {
    return this.#life.torn;
  }

  /** Resolves when the isolate has told everything that it has lived through. */
  async settled(): Promise<void> {
    await this.isolate.ask({ about: 'pending' });
  }

  // --- given up and gone on ---------------------------------------------------------------------------------------------

  /** The isolate was to go on from its image, and did not: it is made again without. False where there is none, or no other way. */
  #makeWithoutImage(): boolean {
    if (!this.#life.replaying || !this.#life.images.failed()) return false;
    this.#powers.unsay();
    this.isolate.drop('The image of the session cannot be used.');
    if (this.#makeAgain(null) !== null) return false;
    this.#powers.cells().goOn();
    return true;
  }

  /** What the isolate held is gone, and its client is told. */
  #lostState(code: FaultCode, message: string): void {
    const { audit, cells, emit, forget, sessionId } = this.#powers;
    const execution = cells().running;
    const stateLost = this.stateful;
    this.stateful = false;
    forget();
    this.#life.forget();
    this.#asleep = false;
    this.#endAgain();
    cells().isolateGone();
    if (execution === undefined && !stateLost) return;
    const goesOn = code !== 'SECURITY_VIOLATION';
    const told =
      stateLost && goesOn ? `${message} Its variables are gone; the next cell runs in a fresh session.` : message;
    audit.note('session.lost', { sessionId, code, message: told });
    emit({ kind: 'session.lost', code, message: told });
    // Nothing more is to run in a session that broke out; what waits in it ends with it.
    if (!goesOn) cells().withdrawAll();
    if (execution === undefined) this.#loss = told;
    else cells().finish({ status: 'error', error: plainError(code, told, { stateLost }) });
  }

  /** What happens again is not what happened: it is made again without its image, where it was to go on from one, or is lost. */
  diverged(problem: string): void {
    if (this.#makeWithoutImage()) return;
    this.isolate.drop('The session could not be made again.');
    this.#lostState('REPLAY_DIVERGED', `The session could not be made again as it was: ${problem}.`);
  }
}
