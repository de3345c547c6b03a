/**
 * A session's hold on the isolate it lives in: opens one when there is none, or makes a lost one again, correlates questions with
 * answers, and tells the session when it is gone.
 *
 * I1: while a lost isolate is made again, nothing else reaches it; what was meant for it follows, in order.
 */
import type {
  Answer,
  CapabilityGrant,
  CellLimits,
  CellOutcome,
  CellUsage,
  IsolateSpec,
  Question,
  ReplayStep,
} from '../../sandbox/protocol.ts';
import { Fault } from '../fault.ts';
import type { Cordon, HostPool, IsolateLink, IsolateLoss, IsolateMessage, IsolateOwner } from '../hosts/host-pool.ts';
import type { LostLife, SessionLife } from './session-life.ts';
import { SESSION_LIMITS } from './session-limits.ts';

export type GuestMessage = Exclude<
  IsolateMessage,
  { kind: 'isolate.lost' | 'host.doomed' | 'cell.done' | 'answer' | 'refusal' | 'isolate.lived' | 'isolate.replayed' }
>;

export interface IsolateEvents {
  onMessage(message: GuestMessage): void;
  onCellDone(cell: number, outcome: CellOutcome, usage: CellUsage): void;
  onLost(loss: IsolateLoss): void;
  /** The lost isolate is as it was, or `problem` says why it cannot be. */
  onReplayed(problem: string | null): void;
  readonly executing: boolean;
}

export interface IsolatePlan {
  readonly cordon: Cordon;
  readonly spec: IsolateSpec;
}

type Command = Parameters<IsolateLink['send']>[0];

/** Steps of one message, and characters of them: a message is no larger than one that guest code can bring about. */
const STEPS_MAX = 1000;
const STEP_CHARACTERS_MAX = 8 * 1024 * 1024;

export class SessionIsolate implements IsolateOwner {
  readonly #pool: Pick<HostPool, 'open'>;
  readonly #events: IsolateEvents;
  readonly #questions = new Map<number, { resolve: (answer: Answer) => void; reject: (fault: Fault) => void }>();
  readonly #life: Pick<SessionLife, 'question' | 'grant' | 'lived'>;
  #link: IsolateLink | undefined;
  /** What is to follow once the lost isolate has been made again; undefined while none is. */
  #held: Command[] | undefined;
  /** It had to be ended with its whole host once, so from then on it is alone in one. */
  #quarantined = false;

  constructor(
    pool: Pick<HostPool, 'open'>,
    life: Pick<SessionLife, 'question' | 'grant' | 'lived'>,
    events: IsolateEvents,
  ) {
    this.#pool = pool;
    this.#life = life;
    this.#events = events;
  }

  get executing(): boolean {
    return this.#events.executing;
  }

  get isOpen(): boolean {
    return this.#link !== undefined;
  }

  open({ cordon, spec }: IsolatePlan): void {
    this.#link ??= this.#pool.open(cordon, spec, this.#quarantined, this);
  }

  /** Makes a lost isolate again. */
  openAgain(cordon: Cordon, { spec, openedMs, image, steps }: LostLife): void {
    if (this.#link !== undefined) return;
    this.#link = this.#pool.open(cordon, spec, this.#quarantined, this, { openedMs, ...(image && { image }) });
    this.#held = [];
    const pieces = piecesOf(steps);
    for (const [index, piece] of pieces.entries())
      this.#link.send({ kind: 'isolate.replay', steps: piece, last: index === pieces.length - 1 });
  }

  /** From now on it is alone in its host. */
  quarantine(): void {
    this.#quarantined = true;
  }

  /** Whether its host has started. */
  get ready(): boolean {
    return this.#link?.ready ?? false;
  }

  #send(command: Command): void {
    if (this.#held === undefined) this.#link?.send(command);
    else this.#held.push(command);
  }

  run(cell: number, source: string, limits: CellLimits): void {
    this.#send({ kind: 'cell.run', cell, source, limits });
  }

  stop(cell: number): void {
    this.#send({ kind: 'cell.stop', cell });
  }

  settleCall(call: number, ok: boolean, json: string): void {
    this.#send({ kind: 'call.settle', call, ok, json });
  }

  setCapabilities(capabilities: CapabilityGrant): void {
    if (this.#link === undefined) return;
    this.#send({ kind: 'capabilities.set', number: this.#life.grant(capabilities), ...capabilities });
  }

  /** Fails with the fault of the answer, or SESSION_LOST where the isolate goes first. */
  ask<K extends Question['about']>(question: Extract<Question, { about: K }>): Promise<Extract<Answer, { about: K }>> {
    if (this.#questions.size >= SESSION_LIMITS.questionsMax) {
      return Promise.reject(
        new Fault('BUSY', `At most ${SESSION_LIMITS.questionsMax} questions about a session can wait at once.`),
      );
    }
    const id = this.#life.question(question);
    return new Promise((resolve, reject) => {
      this.#questions.set(id, { resolve: resolve as (answer: Answer) => void, reject });
      this.#send({ kind: 'ask', id, question });
    });
  }

  killHost(reason: string): void {
    this.#quarantined = true;
    this.#link?.killHost(reason);
  }

  /** Whether questions wait for an answer. */
  get asked(): boolean {
    return this.#questions.size > 0;
  }

  /** Gives the isolate up; `why` is told to whoever waits for an answer of it. */
  drop(why: string): void {
    this.#link?.dispose();
    this.#gone(why);
  }

  onMessage(message: Exclude<IsolateMessage, { kind: 'isolate.lost' | 'host.doomed' }>): void {
    if (message.kind === 'isolate.lived') this.#life.lived(message.records);
    else if (message.kind === 'isolate.replayed') this.#replayed(message.problem);
    else if (message.kind === 'cell.done') this.#events.onCellDone(message.cell, message.outcome, message.usage);
    else if (message.kind === 'answer') this.#take(message.id)?.resolve(message.answer);
    else if (message.kind === 'refusal') this.#take(message.id)?.reject(new Fault(message.code, message.message));
    else this.#events.onMessage(message);
  }

  onLost(loss: IsolateLoss): void {
    // Alone among the suspects or caught in the act: it will not share a process again.
    if (loss.culprit) this.#quarantined = true;
    this.#gone(loss.message);
    this.#events.onLost(loss);
  }

  #replayed(problem: string | null): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    if (problem === null) for (const command of held) this.#send(command);
    this.#events.onReplayed(problem);
  }

  #take(id: number): { resolve: (answer: Answer) => void; reject: (fault: Fault) => void } | undefined {
    const waiting = this.#questions.get(id);
    this.#questions.delete(id);
    return waiting;
  }

  #gone(message: string): void {
    this.#link = undefined;
    this.#held = undefined;
    const waiting = [...this.#questions.values()];
    this.#questions.clear();
    for (const { reject } of waiting) reject(new Fault('SESSION_LOST', message));
  }
}

function piecesOf(steps: readonly ReplayStep[]): readonly (readonly ReplayStep[])[] {
  const pieces: ReplayStep[][] = [[]];
  let characters = 0;
  for (const step of steps) {
    const length = 'source' in step ? step.source.length : 'json' in step ? step.json.length : 64;
    const last = pieces.at(-1) as ReplayStep[];
    if (last.length > 0 && (last.length >= STEPS_MAX || characters + length > STEP_CHARACTERS_MAX)) {
      pieces.push([]);
      characters = 0;
    }
    pieces.at(-1)?.push(step);
    characters += length;
  }
  return pieces;
}
