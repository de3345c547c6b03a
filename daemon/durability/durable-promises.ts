/**
 * What the daemon waits for and must not forget: answers of people, and times. Each is a promise on the Resonate server, embedded
 * or not, found again by its key.
 *
 * I1: a promise has one outcome, whoever settles it, however often and from wherever; the server decides.
 * I2: a deadline is the server's to judge, since it is part of the promise, and ours to notice, since no server tells of it.
 * I3: a watcher is called once at most, with the outcome, and never after it was taken back.
 * I4: what was said while nobody listened is asked for: at every watch, and again every now and then where messages can be lost.
 * I5: however much there is to ask at once, a few questions are under way.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { Fault } from '../fault.ts';
import { Deadlines } from './deadlines.ts';
import { type Json, open, seal } from './envelope.ts';
import { safeId } from './safe-id.ts';
import type { Network, PromiseRecord, Request, RequestOf } from './sdk.ts';
import { callServer, promiseOf } from './server-call.ts';
import { WallTimer } from './wall-timer.ts';

/** The last millisecond that a date can name; stands for never. */
export const NEVER_MS = 8_640_000_000_000_000;
/** Watched at once; each costs a few hundred bytes. */
const WATCHED_MAX = 200_000;
/** How long after its deadline the server is asked about a promise again, while its clock is behind ours. */
const CLOCKS_DIFFER_MS = 250;
/** Questions under way. */
const ASKED_AT_ONCE_MAX = 16;
/** How often the server is asked again about what it gave no answer to. */
const UNHEARD_MS = 5000;

/** `value` is null where somebody settled the promise with something that is not ours. */
export type Outcome = { readonly state: 'settled'; readonly value: Json } | { readonly state: 'timed-out' };

export type DurablePromise = { readonly request: Json } & (Outcome | { readonly state: 'pending' });

export interface DurablePromisesParts {
  readonly network: Pick<Network, 'send' | 'unicast'>;
  readonly group: string;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly log: (line: string) => void;
  /** How often everything that is watched is asked for again, in ms; null where no message can be lost. */
  readonly lookAgainMs: number | null;
}

type Callback = (outcome: Outcome) => void;

export class DurablePromises {
  readonly #parts: DurablePromisesParts;
  readonly #watched = new Map<string, Set<Callback>>();
  readonly #deadlines = new Deadlines();
  readonly #timer: WallTimer;
  readonly #again: NodeJS.Timeout;
  /** Watched, and to be asked for. */
  readonly #toAsk = new Set<string>();
  /** Watched, and asked for in vain. */
  readonly #unheard = new Set<string>();
  #asking = 0;
  #stopped = false;

  constructor(parts: DurablePromisesParts) {
    this.#parts = parts;
    this.#timer = new WallTimer(parts.clock.nowMs, () => this.#lookAtDue());
    this.#again = setInterval(() => this.#lookAgain(), parts.lookAgainMs ?? UNHEARD_MS);
  }

  /**
   * Makes the promise, or finds it: one that exists keeps the request and the deadline that it was made with.
   * @param deadlineMs since the epoch, by the server's clock; one that has passed makes a promise that has timed out
   * Fails with UNAVAILABLE.
   */
  async create(key: string, request: Json, deadlineMs: number | null): Promise<DurablePromise> {
    const id = this.#idOf(key);
    const promise = promiseOf(
      await this.#call('promise.create', {
        id,
        timeoutAt: deadlineMs === null ? NEVER_MS : wholeMs(deadlineMs),
        param: { headers: {}, data: seal({ key, request }) },
        tags: { 'resonate:origin': id, 'resonate:branch': id, 'resonate:parent': id, 'resonate:external': 'true' },
      }),
    );
    if (promise === null)
      throw new Fault('UNAVAILABLE', 'The Resonate server does not know a promise that it was to make.');
    return { request: open(promise.param.data)?.['request'] ?? null, ...(outcomeOf(promise) ?? { state: 'pending' }) };
  }

  /** What the promise was made with; null where there is none. Fails with UNAVAILABLE. */
  async requestOf(key: string): Promise<Json> {
    const promise = promiseOf(await this.#call('promise.get', { id: this.#idOf(key) }));
    return (promise && open(promise.param.data)?.['request']) ?? null;
  }

  /** Whether this call was the one that settled it; false for one that is not there. Fails with UNAVAILABLE: then it may have been. */
  async settle(key: string, value: Json): Promise<boolean> {
    const id = this.#idOf(key);
    // The server answers every settler alike, with the outcome; which of them it was is told by this.
    const by = randomUUID();
    const data = seal({ by, value });
    const promise = promiseOf(
      await this.#call('promise.settle', { id, state: 'resolved', value: { headers: {}, data } }),
    );
    if (promise === null) return false;
    this.#noticed(promise);
    return promise.state === 'resolved' && open(promise.value.data)?.['by'] === by;
  }

  /**
   * Calls back once the promise has its outcome, or at once where it has; one that does not exist yet is waited for as well.
   * Returns what takes the watch back. Fails with UNAVAILABLE where too much is watched.
   */
  watch(key: string, callback: (outcome: Outcome) => void): () => void {
    const id = this.#idOf(key);
    let callbacks = this.#watched.get(id);
    if (callbacks === undefined) {
      if (this.#watched.size >= WATCHED_MAX)
        throw new Fault('UNAVAILABLE', `More than ${WATCHED_MAX} answers and times are waited for.`);
      callbacks = new Set();
      this.#watched.set(id, callbacks);
    }
    // An object of its own for each watch, so that the same function can be given twice.
    const own: Callback = (outcome) => callback(outcome);
    callbacks.add(own);
    this.#ask(id);
    return () => {
      // Also while the others of the same promise are being called.
      callbacks.delete(own);
      if (callbacks.size === 0 && this.#watched.get(id) === callbacks) this.#forget(id);
    };
  }

  /** A promise that the server says is settled. */
  received(promise: PromiseRecord): void {
    this.#noticed(promise);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer.set(null);
    clearInterval(this.#again);
    this.#watched.clear();
    this.#toAsk.clear();
  }

  #lookAgain(): void {
    const { lookAgainMs } = this.#parts;
    for (const id of lookAgainMs === null ? [...this.#unheard] : this.#watched.keys()) this.#ask(id);
  }

  #ask(id: string): void {
    this.#toAsk.add(id);
    if (this.#asking < ASKED_AT_ONCE_MAX) void this.#askOn();
  }

  async #askOn(): Promise<void> {
    this.#asking++;
    for (const id of this.#toAsk) {
      this.#toAsk.delete(id);
      await this.#listen(id);
    }
    this.#asking--;
  }

  /** Tells the server that we listen, and hears from it how things stand. */
  async #listen(id: string): Promise<void> {
    const { network, log } = this.#parts;
    if (!this.#watched.has(id)) return;
    try {
      const answer = await this.#call('promise.register_listener', { awaited: id, address: network.unicast });
      const promise = promiseOf(answer);
      this.#unheard.delete(id);
      if (promise !== null) this.#noticed(promise);
    } catch (error) {
      if (this.#stopped || !this.#watched.has(id)) return;
      if (this.#unheard.size === 0) log(`answers and times are not heard of at present: ${(error as Error).message}`);
      this.#unheard.add(id);
    }
  }

  #noticed(promise: PromiseRecord): void {
    const callbacks = this.#watched.get(promise.id);
    if (callbacks === undefined) return;
    const outcome = outcomeOf(promise);
    if (outcome === null) {
      this.#expect(promise);
      return;
    }
    this.#forget(promise.id);
    for (const callback of callbacks) {
      callbacks.delete(callback);
      callback(outcome);
    }
  }

  #expect({ id, timeoutAt }: PromiseRecord): void {
    if (timeoutAt >= NEVER_MS) return;
    const nowMs = this.#parts.clock.nowMs();
    this.#deadlines.set(id, timeoutAt > nowMs ? timeoutAt : nowMs + CLOCKS_DIFFER_MS);
    this.#timer.set(this.#deadlines.nextMs());
  }

  #lookAtDue(): void {
    for (const { id } of this.#deadlines.takeDue(this.#parts.clock.nowMs())) this.#ask(id);
    this.#timer.set(this.#deadlines.nextMs());
  }

  #forget(id: string): void {
    this.#watched.delete(id);
    this.#deadlines.delete(id);
    this.#unheard.delete(id);
  }

  #idOf(key: string): string {
    return safeId(this.#parts.group, 'promise', key);
  }

  #call<K extends Request['kind']>(kind: K, data: RequestOf<K>['data']) {
    if (this.#stopped) throw new Fault('UNAVAILABLE', 'The daemon is ending.');
    return callServer(this.#parts.network, kind, data);
  }
}

/** null: it has none yet. */
function outcomeOf({ state, value }: PromiseRecord): Outcome | null {
  if (state === 'pending') return null;
  if (state === 'rejected_timedout') return { state: 'timed-out' };
  return { state: 'settled', value: state === 'resolved' ? (open(value.data)?.['value'] ?? null) : null };
}

const wholeMs = (ms: number): number => Math.min(Math.max(0, Math.ceil(ms)), NEVER_MS);
