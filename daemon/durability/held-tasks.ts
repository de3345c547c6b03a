/**
 * What stands between the SDK's engine and the server: which tasks this daemon holds, until when, and how each of them ends.
 *
 * The engine starts functions. One that has returned is not done: its task is held on, without a frame of the engine, until it is
 * said how it ends; ten thousand sessions that nobody uses then cost what they have to remember.
 *
 * I1: a task counts as held until its lease has run out by our own clock, counted from before the request that was granted it,
 *     so nobody else holds it meanwhile, however late an answer comes or however long this process stood still.
 * I2: only what is held is kept alive, fulfilled or put aside; what was lost stays lost, and comes back as a new holding.
 * I3: the engine sees only tasks that it can run: over others it ends the process or tries again for ever.
 * I4: a lease that is lost is told once, by the signal of the holding.
 * I5: a server whose clock was set, that an operator told otherwise or that has forgotten may give away what we hold, and answers
 *     heartbeats as before; a part of what is held is asked for with each of them, so that all of it is in time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../fault.ts';
import { Deadlines } from './deadlines.ts';
import { type Ending, Held, type Holding } from './holding.ts';
import {
  ask,
  type Message,
  type Network,
  PROTOCOL_VERSION,
  type PromiseRecord,
  type Request,
  type RequestOf,
  type Response,
} from './sdk.ts';
import { type Answer, callServer } from './server-call.ts';
import { StartGate } from './start-gate.ts';
import { WallTimer } from './wall-timer.ts';

export interface HeldTasksParts {
  readonly network: Network;
  readonly pid: string;
  /** null: what is held is held for as long as the process lives. */
  readonly leaseMs: number | null;
  readonly monotonicMs: () => number;
  readonly log: (line: string) => void;
  /** Whether the engine can run what the promise asks for. */
  readonly canRun: (promise: PromiseRecord) => boolean;
  /** The task is not held any more, for whatever reason. */
  readonly dropped: (holding: Holding) => void;
  /** A promise that the server says is settled. */
  readonly settled: (promise: PromiseRecord) => void;
}

export class HeldTasks implements Network {
  readonly #parts: HeldTasksParts;
  readonly #network: Network;
  readonly #held = new Map<string, Held>();
  /** Tasks that were made and acquired in one request; the engine is told of them as of any other. */
  readonly #claimed = new Map<string, Answer>();
  readonly #expiries = new Deadlines();
  readonly #timer: WallTimer;
  readonly #gate: StartGate;
  readonly #heartbeat: NodeJS.Timeout | undefined;
  /** What is still to be asked for in this round. */
  #toVerify: Held[] = [];
  #receive: (message: Message) => void = () => undefined;
  #stopped = false;

  constructor(parts: HeldTasksParts) {
    this.#parts = parts;
    this.#network = parts.network;
    this.#timer = new WallTimer(parts.monotonicMs, () => this.#loseExpired());
    this.#gate = new StartGate((message) => this.#receive(message));
    // Three in a lease, so that one of them may get lost.
    if (parts.leaseMs !== null) this.#heartbeat = setInterval(() => void this.#keepAlive(), parts.leaseMs / 3);
  }

  get unicast(): string {
    return this.#network.unicast;
  }

  get anycast(): string {
    return this.#network.anycast;
  }

  match(target: string): string {
    return this.#network.match(target);
  }

  /** The engine asks once. */
  recv(callback: (message: Message) => void): void {
    this.#receive = callback;
    this.#network.recv((message) => this.#received(message));
  }

  init(): Promise<void> {
    return this.#network.init();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer.set(null);
    clearInterval(this.#heartbeat);
    this.#gate.stop();
    await this.#network.stop();
  }

  /** The holding of a task; undefined where it is not held. */
  holding(id: string): Holding | undefined {
    return this.#held.get(id);
  }

  /** How the task stands on the server; null where there is none. Fails with UNAVAILABLE. */
  async standing(id: string): Promise<TaskFields | null> {
    return taskOf(await callServer(this.#network, 'task.get', { id }));
  }

  /**
   * Ends a holding: settles when the server has been told. False where the task is not held, or was lost before the server could be
   * told that it is done.
   */
  async end(id: string, ending: Ending): Promise<boolean> {
    const held = this.#held.get(id);
    if (held === undefined || !held.isHeld()) return false;
    held.ending = ending;
    const isTold = ending === 'done' ? await this.#fulfill(held) : await this.#giveAway(held);
    this.#drop(held);
    return isTold;
  }

  /** The function of a task has started; another may. */
  started(id: string): void {
    this.#gate.started(id);
  }

  send = (async (request: Request): Promise<Response> => {
    if (this.#stopped) throw new Fault('UNAVAILABLE', 'The daemon is ending.');
    const answer = await this.#answer(request);
    const { corrId, version } = request.head;
    return { kind: request.kind, head: { corrId, status: answer.status, version }, data: answer.data } as Response;
  }) as Network['send'];

  async #answer(request: Request): Promise<Answer> {
    switch (request.kind) {
      case 'promise.create':
        return this.#claim(request);
      case 'task.acquire':
        return this.#acquire(request);
      case 'task.heartbeat':
      case 'task.fulfill':
        // Ours to say, and when.
        return { status: 200, data: {} };
      case 'task.release':
        await this.end(request.data.id, 'released');
        return { status: 200, data: {} };
      default:
        return this.#once(request.kind, request.data);
    }
  }

  /** The engine makes a promise to have it run by whoever acquires it first; we make it and acquire it at once. */
  async #claim({ head, data }: RequestOf<'promise.create'>): Promise<Answer> {
    const { pid, leaseMs } = this.#parts;
    const action = { kind: 'promise.create', head, data } as const;
    const sentMs = this.#parts.monotonicMs();
    // Once: asked again after an answer that was lost, it would be held by somebody who is us.
    const create = () => this.#once('task.create', { pid, ttl: leaseMs ?? TTL_MAX, action });
    let answer = await create();
    if (answer.status === 409 && (await this.#wakeParked(data.id))) answer = await create();
    if (answer.status === 409) return callServer(this.#network, 'promise.get', { id: data.id });
    const task = taskOf(answer);
    if (task?.state === 'acquired') {
      this.#hold(task, sentMs);
      this.#claimed.set(data.id, answer);
      queueMicrotask(() => this.#receive(executeMessage(task.id, task.version)));
    }
    return answer;
  }

  async #wakeParked(id: string): Promise<boolean> {
    if (taskOf(await callServer(this.#network, 'task.get', { id }))?.state !== 'halted') return false;
    return (await callServer(this.#network, 'task.continue', { id })).status === 200;
  }

  async #acquire({ data }: RequestOf<'task.acquire'>): Promise<Answer> {
    const claimed = this.#claimed.get(data.id);
    if (claimed !== undefined) {
      this.#claimed.delete(data.id);
      return claimed;
    }
    let isHeld = false;
    try {
      const answer = await this.#acquireFromServer({ ...data, ttl: this.#parts.leaseMs ?? TTL_MAX });
      isHeld = answer.status === 200;
      return answer;
    } finally {
      if (!isHeld) this.#gate.started(data.id);
    }
  }

  async #acquireFromServer(data: RequestOf<'task.acquire'>['data']): Promise<Answer> {
    const { canRun, log, monotonicMs } = this.#parts;
    const sentMs = monotonicMs();
    const answer = await this.#once('task.acquire', data);
    if (answer.status !== 200) return answer;
    const task = taskOf(answer);
    const { promise } = answer.data as { readonly promise?: PromiseRecord };
    if (task?.id === data.id && task.state === 'acquired' && promise?.id === data.id && canRun(promise)) {
      this.#hold(task, sentMs);
      return answer;
    }
    log(`a task on the Resonate server is none that this daemon can run, and is put aside: ${data.id}`);
    await callServer(this.#network, 'task.halt', { id: data.id });
    return NOT_HELD;
  }

  async #keepAlive(): Promise<void> {
    const { leaseMs, pid, monotonicMs } = this.#parts;
    const tasks = [...this.#held.values()].filter((held) => !held.isLost());
    if (leaseMs === null || tasks.length === 0) return;
    const sentMs = monotonicMs();
    try {
      const refs = tasks.map(({ id, version }) => ({ id, version }));
      const { status } = await this.#once('task.heartbeat', { pid, tasks: refs });
      if (status !== 200) return;
    } catch {
      // Each lease runs out by itself, which is told then.
      return;
    }
    // An answer that comes after the lease has run out says nothing: the server ignores the heartbeats of those who lost theirs.
    for (const held of tasks)
      if (this.#held.get(held.id) === held && !held.isLost()) this.#extend(held, sentMs + leaseMs);
    await this.#verifySome();
  }

  async #verifySome(): Promise<void> {
    if (this.#toVerify.length === 0) this.#toVerify = [...this.#held.values()];
    const some = this.#toVerify.splice(-VERIFIED_MAX);
    const verify = async (held: Held): Promise<void> => {
      if (this.#held.get(held.id) !== held || !held.isHeld()) return;
      const answer = await this.#once('task.get', { id: held.id }).catch(() => null);
      if (answer === null || (answer.status !== 200 && answer.status !== 404)) return;
      const task = taskOf(answer);
      if ((task?.state === 'acquired' && task.version === held.version) || !held.isHeld()) return;
      this.#parts.log(`the Resonate server has given a session away that is held here: ${held.id}`);
      this.#lose(held);
    };
    await Promise.all(some.map(verify));
  }

  /** Tried for as long as the task is ours: a session that was closed is not to be gone on with by another daemon. */
  async #fulfill(held: Held): Promise<boolean> {
    const { id, version } = held;
    const head = { corrId: id, version: PROTOCOL_VERSION };
    const settled = { id, state: 'resolved', value: { headers: {}, data: DONE } } as const;
    const data = { id, version, action: { kind: 'promise.settle', head, data: settled } } as const;
    for (let attempt = 0; !held.isLost(); attempt++) {
      try {
        return (await callServer(this.#network, 'task.fulfill', data)).status === 200;
      } catch (error) {
        if (this.#stopped) return false;
        if (attempt === 0)
          this.#parts.log(`the Resonate server is not told of a closed session: ${(error as Error).message}`);
        await sleep(FULFILL_AGAIN_MS);
      }
    }
    return false;
  }

  /** As far as that can be said to the server, which finds out by itself otherwise. */
  async #giveAway({ id, version, ending }: Held): Promise<boolean> {
    try {
      if (ending === 'parked') await callServer(this.#network, 'task.halt', { id });
      else await callServer(this.#network, 'task.release', { id, version });
      return true;
    } catch {
      return false;
    }
  }

  #hold({ id, version }: TaskFields, sentMs: number): void {
    const { leaseMs, monotonicMs } = this.#parts;
    const before = this.#held.get(id);
    if (before !== undefined) this.#lose(before);
    const held = new Held(id, version, monotonicMs);
    this.#held.set(id, held);
    if (leaseMs !== null) this.#extend(held, sentMs + leaseMs);
  }

  #extend(held: Held, expiresMs: number): void {
    held.expiresMs = expiresMs;
    this.#expiries.set(held.id, expiresMs);
    this.#timer.set(this.#expiries.nextMs());
  }

  #lose(held: Held): void {
    held.lose();
    this.#drop(held);
  }

  #drop(held: Held): void {
    if (this.#held.get(held.id) !== held) return;
    this.#held.delete(held.id);
    this.#expiries.delete(held.id);
    this.#gate.started(held.id);
    this.#parts.dropped(held);
  }

  #loseExpired(): void {
    for (const { id } of this.#expiries.takeDue(this.#parts.monotonicMs())) {
      const held = this.#held.get(id);
      if (held === undefined) continue;
      this.#parts.log(`the lease of a session ran out; another daemon may take it over: ${id}`);
      this.#lose(held);
    }
    this.#timer.set(this.#expiries.nextMs());
  }

  #received(message: Message): void {
    if (message.kind === 'execute') this.#gate.take(message);
    else this.#parts.settled(message.data.promise);
  }

  async #once<K extends Request['kind']>(kind: K, sent: RequestOf<K>['data']): Promise<Answer> {
    const { head, data } = await ask(this.#network, kind, sent);
    return { status: head.status, data };
  }
}

/** How soon the server is told again that a session was closed. */
const FULFILL_AGAIN_MS = 2000;
/** What the SDK's codec makes of a function that returned nothing worth keeping. */
const DONE = Buffer.from('"closed"').toString('base64');
const NOT_HELD: Answer = { status: 409, data: 'This daemon does not hold the task' };
/** Asked for with a heartbeat. */
const VERIFIED_MAX = 32;
/** For the embedded server, which knows no leases. */
const TTL_MAX = 2 ** 31 - 1;

export interface TaskFields {
  readonly id: string;
  readonly version: number;
  readonly state: string;
}

function taskOf({ status, data }: Answer): TaskFields | null {
  if (status !== 200) return null;
  const task = (data as { readonly task?: Partial<TaskFields> } | null)?.task;
  const { id, version, state } = task ?? {};
  if (typeof id !== 'string' || typeof version !== 'number' || typeof state !== 'string') return null;
  return { id, version, state };
}

const executeMessage = (id: string, version: number): Message => ({
  kind: 'execute',
  head: {},
  data: { task: { id, version } },
});
