/**
 * A session's hold on the isolate it lives in: opens one when there is none, correlates questions with answers, and tells the
 * session when it is gone.
 */
import type { Answer, CellLimits, CellOutcome, CellUsage, IsolateSpec, Question } from '../../sandbox/protocol.ts';
import { Fault } from '../fault.ts';
import type { Cordon, HostPool, IsolateLink, IsolateLoss, IsolateMessage, IsolateOwner } from '../hosts/host-pool.ts';
import { SESSION_LIMITS } from './session-limits.ts';

export type GuestMessage = Exclude<
  IsolateMessage,
  { kind: 'isolate.lost' | 'host.doomed' | 'cell.done' | 'answer' | 'refusal' }
>;

export interface IsolateEvents {
  onMessage(message: GuestMessage): void;
  onCellDone(cell: number, outcome: CellOutcome, usage: CellUsage): void;
  onLost(loss: IsolateLoss): void;
  readonly executing: boolean;
}

export interface IsolatePlan {
  readonly cordon: Cordon;
  readonly spec: IsolateSpec;
}

export class SessionIsolate implements IsolateOwner {
  readonly #pool: Pick<HostPool, 'open'>;
  readonly #events: IsolateEvents;
  readonly #questions = new Map<number, { resolve: (answer: Answer) => void; reject: (fault: Fault) => void }>();
  #link: IsolateLink | undefined;
  #lastQuestion = 0;
  /** It had to be ended with its whole host once, so from then on it is alone in one. */
  #quarantined = false;

  constructor(pool: Pick<HostPool, 'open'>, events: IsolateEvents) {
    this.#pool = pool;
    this.#events = events;
  }

  get executing(): boolean {
    return this.#events.executing;
  }

  open(plan: () => IsolatePlan): void {
    if (this.#link !== undefined) return;
    const { cordon, spec } = plan();
    this.#link = this.#pool.open(cordon, spec, this.#quarantined, this);
  }

  /** Whether its host has started. */
  get ready(): boolean {
    return this.#link?.ready ?? false;
  }

  run(cell: number, source: string, limits: CellLimits): void {
    this.#link?.send({ kind: 'cell.run', cell, source, limits });
  }

  stop(cell: number): void {
    this.#link?.send({ kind: 'cell.stop', cell });
  }

  settleCall(call: number, ok: boolean, json: string): void {
    this.#link?.send({ kind: 'call.settle', call, ok, json });
  }

  /** Fails with the fault of the answer, or SESSION_LOST where the isolate goes first. */
  ask<K extends Question['about']>(question: Extract<Question, { about: K }>): Promise<Extract<Answer, { about: K }>> {
    if (this.#questions.size >= SESSION_LIMITS.questionsMax) {
      return Promise.reject(
        new Fault('BUSY', `At most ${SESSION_LIMITS.questionsMax} questions about a session can wait at once.`),
      );
    }
    const id = ++this.#lastQuestion;
    return new Promise((resolve, reject) => {
      this.#questions.set(id, { resolve: resolve as (answer: Answer) => void, reject });
      this.#link?.send({ kind: 'ask', id, question });
    });
  }

  killHost(reason: string): void {
    this.#quarantined = true;
    this.#link?.killHost(reason);
  }

  /** Gives the isolate up; the next `open` makes a fresh one. */
  drop(): void {
    this.#link?.dispose();
    this.#gone('The session was reset.');
  }

  onMessage(message: Exclude<IsolateMessage, { kind: 'isolate.lost' | 'host.doomed' }>): void {
    if (message.kind === 'cell.done') this.#events.onCellDone(message.cell, message.outcome, message.usage);
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

  #take(id: number): { resolve: (answer: Answer) => void; reject: (fault: Fault) => void } | undefined {
    const waiting = this.#questions.get(id);
    this.#questions.delete(id);
    return waiting;
  }

  #gone(message: string): void {
    this.#link = undefined;
    const waiting = [...this.#questions.values()];
    this.#questions.clear();
    for (const { reject } of waiting) reject(new Fault('SESSION_LOST', message));
  }
}
