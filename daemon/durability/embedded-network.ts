/**
 * A Resonate server inside the daemon: the SDK's own rules, on the durable store.
 *
 * I1: an answer leaves, and a message is delivered, only once what they rest on is committed; in the order of the requests.
 * I2: a request that cannot be recorded changes nothing, in memory neither.
 * I3: what is finished leaves the memory with its commit and the file after a time; what is live is in both.
 * I4: at the start every task is free again, because who held it died with the process, and every free one is announced.
 */
import type { StatementSync } from 'node:sqlite';
import type { Clock } from '../clock.ts';
import type { DurableStore } from './durable-store.ts';
import { type Applied, LiveState, type StateRow } from './live-state.ts';
import { type Message, type Network, PROTOCOL_VERSION, type Request, type Response } from './sdk.ts';
import { WallTimer } from './wall-timer.ts';

/** Requests under way; the engine is told 429 above it. */
const REQUESTS_MAX = 100_000;
/** How long a settled promise can still be asked for. It has to outlive whoever asks again after a crash. */
const RETENTION_MS = 7 * 24 * 3_600_000;
/** The first sweep comes this long after the start, so that whoever is recovered finds what was settled before. */
const SWEEP_MS = 3_600_000;
/** Rows that go in one commit, which takes a few milliseconds. */
const SWEPT_MAX = 1000;
/** A clock that is back by less than this stands still for us until it has caught up; by more, it was set, and is followed. */
const CLOCK_BACK_MS = 60_000;
/** A task that nobody acquired is announced again after this time, as by the SDK's own server. */
const ANNOUNCE_MS = 30_000;

/** How soon what is due is tried again while the store takes nothing. */
const FULL_MS = 1000;

/** Those that we use; schedules are not among them. */
const SUPPORTED = /^(promise\.(get|create|settle|register_callback|register_listener)|task\.(?!search)\w+)$/;

export interface EmbeddedNetworkParts {
  readonly store: DurableStore;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly retentionMs?: number;
}

interface Batch {
  readonly ids: Set<string>;
  /** Whether its statements have not been run yet. */
  open: boolean;
}

export class EmbeddedNetwork implements Network {
  readonly unicast = 'local://uni@pyrepl3/embedded';
  readonly anycast = 'local://any@pyrepl3/embedded';
  readonly #store: DurableStore;
  readonly #clock: Pick<Clock, 'nowMs'>;
  readonly #retentionMs: number;
  readonly #state: LiveState;
  readonly #save: StatementSync;
  readonly #sweep: StatementSync;
  readonly #timer: WallTimer;
  readonly #receivers: ((message: Message) => void)[] = [];
  #sweeper: NodeJS.Timeout | undefined;
  #batch: Batch = { ids: new Set(), open: false };
  #lastMs = 0;
  #requests = 0;
  #phase: 'made' | 'running' | 'stopped' = 'made';

  /** Reads what is live. */
  constructor({ store, clock, retentionMs = RETENTION_MS }: EmbeddedNetworkParts) {
    this.#store = store;
    this.#clock = clock;
    this.#retentionMs = retentionMs;
    const load = store.prepare('SELECT promise, task FROM resonate WHERE id = ?');
    this.#state = new LiveState((id) => load.get(id) as StateRow | undefined);
    this.#save = store.prepare(
      `INSERT INTO resonate (id, promise, task, finished) VALUES (?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET promise = excluded.promise, task = excluded.task, finished = excluded.finished`,
    );
    this.#sweep = store.prepare(
      `DELETE FROM resonate WHERE number IN (SELECT number FROM resonate WHERE finished < ? LIMIT ${SWEPT_MAX})`,
    );
    this.#timer = new WallTimer(
      () => this.#nowMs(),
      () => this.tick(),
    );
    this.#restore();
  }

  #restore(): void {
    const { latest } = this.#store.prepare('SELECT max(finished) AS latest FROM resonate').get() as {
      latest: number | null;
    };
    this.#lastMs = latest ?? 0;
    const announceAtMs = this.#nowMs() + ANNOUNCE_MS;
    const rows = this.#store.prepare('SELECT promise, task FROM resonate WHERE finished IS NULL').iterate();
    for (const row of rows) this.#state.restore(row as unknown as StateRow, announceAtMs);
  }

  match(target: string): string {
    return `local://any@${target}`;
  }

  recv(callback: (message: Message) => void): void {
    this.#receivers.push(callback);
  }

  /** Frees what a dead process held, announces what waits, and starts the clock. Once. */
  async init(): Promise<void> {
    if (this.#phase !== 'made') return;
    this.#phase = 'running';
    for (const { id, version, state } of this.#state.tasks()) {
      const head = { corrId: 'start', version: PROTOCOL_VERSION };
      if (state === 'acquired') this.#apply({ kind: 'task.release', head, data: { id, version } }, () => undefined);
      else if (state === 'pending' && !this.#isDeferred(id))
        this.#store.whenCommitted(() => this.#deliver({ kind: 'execute', head: {}, data: { task: { id, version } } }));
    }
    this.#arm();
    this.#sweeper = setInterval(() => this.sweep(), SWEEP_MS);
  }

  async stop(): Promise<void> {
    this.#phase = 'stopped';
    this.#timer.set(null);
    clearInterval(this.#sweeper);
    this.#receivers.length = 0;
  }

  send = ((request: Request) =>
    new Promise<Response>((resolve, reject) => {
      const { corrId, version } = request.head;
      const answer = (status: number, data: unknown): void =>
        resolve({ kind: request.kind, head: { corrId, status, version }, data } as Response);
      if (this.#phase === 'stopped') reject(new Error('the network has been stopped'));
      else if (!SUPPORTED.test(request.kind)) answer(501, 'Not implemented');
      else if (this.#requests >= REQUESTS_MAX) answer(429, 'Too many requests are under way');
      else this.#apply(request, answer);
    })) as Network['send'];

  /** How many promises are in memory. */
  get liveCount(): number {
    return this.#state.size;
  }

  /** Takes what was finished longer ago than the retention out of the file, a piece a commit. */
  sweep(): void {
    if (this.#phase === 'stopped') return;
    let removed = 0;
    this.#store.write(() => {
      removed = Number(this.#sweep.run(this.#nowMs() - this.#retentionMs).changes);
    });
    this.#store.whenCommitted(() => {
      if (removed === SWEPT_MAX) this.sweep();
    });
  }

  /** Applies what was sent, as it would have come over a wire, and answers once that is committed. */
  #apply(request: Request, answer: (status: number, data: unknown) => void): void {
    const copy = onTheWire(request);
    this.#commit(() => this.#state.apply(this.#nowMs(), copy), answer);
  }

  /** Does what is due by now; its own timer calls it. */
  tick(): void {
    if (this.#phase !== 'running') return;
    try {
      this.#commit(
        () => this.#state.tick(this.#nowMs()),
        () => undefined,
      );
    } catch {
      // The disk has refused for so long that nothing more is taken; what is due stays due.
      this.#timer.set(this.#nowMs() + FULL_MS);
    }
  }

  #commit(apply: () => Applied, answer: (status: number, data: unknown) => void): void {
    const batch = this.#openBatch();
    let applied: Applied | undefined;
    // Before it is applied: this can be refused, and then nothing may have changed.
    this.#store.whenCommitted(() => {
      this.#requests--;
      if (applied !== undefined) this.#leave(applied, answer);
    });
    this.#requests++;
    applied = apply();
    const { changed, data } = applied;
    applied = { ...applied, data: onTheWire(data) };
    for (const id of changed) batch.ids.add(id);
    this.#arm();
  }

  /** The rows of one commit: what is written of each is what it is by then, so several changes of one are one write. */
  #openBatch(): Batch {
    if (this.#batch.open) return this.#batch;
    const batch: Batch = { ids: new Set(), open: true };
    this.#store.write(() => {
      batch.open = false;
      for (const id of batch.ids) this.#write(id);
    });
    this.#batch = batch;
    return batch;
  }

  #write(id: string): void {
    const row = this.#state.rowOf(id);
    if (row !== undefined) this.#save.run(id, row.promise, row.task, row.finished ? this.#lastMs : null);
  }

  #leave({ status, data, messages, changed, loaded }: Applied, answer: (status: number, data: unknown) => void): void {
    for (const ids of [changed, loaded]) for (const id of ids) if (!this.#isDirty(id)) this.#state.forgetFinished(id);
    answer(status, data);
    for (const message of messages) this.#deliver(message);
  }

  #isDirty(id: string): boolean {
    return this.#batch.open && this.#batch.ids.has(id);
  }

  #deliver(message: Message): void {
    // Behind the answer that was given before it, whose promise is settled in a microtask as well.
    queueMicrotask(() => {
      for (const receive of this.#receivers) receive(onTheWire(message));
    });
  }

  #isDeferred(id: string): boolean {
    const row = this.#state.rowOf(id);
    const tags = row === undefined ? {} : JSON.parse(row.promise).tags;
    return Number(tags['resonate:delay'] ?? 0) > this.#nowMs();
  }

  #arm(): void {
    if (this.#phase === 'running') this.#timer.set(this.#state.nextDeadlineMs());
  }

  #nowMs(): number {
    const nowMs = this.#clock.nowMs();
    if (nowMs > this.#lastMs || this.#lastMs - nowMs > CLOCK_BACK_MS) this.#lastMs = nowMs;
    return this.#lastMs;
  }
}

/** A copy that shares nothing with the original and holds what JSON does. */
function onTheWire<T>(value: T): T {
  return value === undefined ? value : JSON.parse(JSON.stringify(value));
}
