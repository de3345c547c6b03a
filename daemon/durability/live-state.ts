/**
 * What is live of the promises and tasks, in the SDK's own state machine: the rules are the SDK's, the memory is ours.
 *
 * I1: whatever a request names is in memory while it is applied, whether it was finished long ago or not.
 * I2: a promise that is settled and has no unfinished task is finished; nothing of it ever changes again.
 * I3: nothing that the machine only appends to (messages that were sent, timeouts that are searched from end to end) grows here.
 */
import { Deadlines } from './deadlines.ts';
import {
  type MachinePromise,
  type MachineTask,
  type MachineTimeout,
  type Message,
  newStateMachine,
  PROTOCOL_VERSION,
  type Request,
  type StateMachine,
} from './sdk.ts';

/** One promise, and its task if it has one, as text. */
export interface StateRow {
  readonly promise: string;
  readonly task: string | null;
}

export interface Applied {
  readonly status: number;
  readonly data: unknown;
  readonly messages: readonly Message[];
  /** Whose rows are to be written. */
  readonly changed: ReadonlySet<string>;
  /** Who was brought into memory for it. */
  readonly loaded: readonly string[];
}

export class LiveState {
  readonly #machine: StateMachine = newStateMachine();
  readonly #promiseDeadlines = new Deadlines();
  readonly #taskDeadlines = new Deadlines();
  /** Promises that have callbacks. */
  readonly #awaited = new Set<string>();
  readonly #load: (id: string) => StateRow | undefined;

  /** @param load reads the row of one that is not in memory */
  constructor(load: (id: string) => StateRow | undefined) {
    this.#load = load;
    this.#replaceLists();
    this.#replaceSearch();
  }

  #replaceLists(): void {
    const deadlines = this.#promiseDeadlines;
    const taskDeadlines = this.#taskDeadlines;
    Object.assign(this.#machine, {
      setPTimeout: (timeout: MachineTimeout) => {
        deadlines.set(timeout.id, timeout.timeout);
        return { kind: 'ptimeout.set', timeout };
      },
      delPTimeout: (id: string) => {
        deadlines.delete(id);
        return { kind: 'ptimeout.del', id };
      },
      // A lease is as long as the process that holds it lives: no other can take the task, and a machine that slept loses nothing.
      setTTimeout: (timeout: MachineTimeout) => {
        if (timeout.type === 0) taskDeadlines.set(timeout.id, timeout.timeout);
        else taskDeadlines.delete(timeout.id);
        return { kind: 'ttimeout.set', timeout };
      },
      delTTimeout: (id: string) => {
        taskDeadlines.delete(id);
        return { kind: 'ttimeout.del', id };
      },
      sendMessage: (address: string, message: Message) => ({ kind: 'message.send', address, message }),
      // Only saves a round trip, and would be looked for among everything that is live.
      preload: () => [],
    });
  }

  /** Of all promises the machine looks through when one is fulfilled, only those that something waits for can matter. */
  #replaceSearch(): void {
    const machine = this.#machine;
    const { setPromise, triggerFulfilled } = machine;
    machine.setPromise = (promise) => {
      this.#noteCallbacks(promise);
      return setPromise.call(machine, promise);
    };
    machine.triggerFulfilled = (id) => {
      const { promises } = machine;
      machine.promises = new Map(
        [...this.#awaited].map((awaited) => [awaited, promises.get(awaited) as MachinePromise]),
      );
      try {
        return triggerFulfilled.call(machine, id);
      } finally {
        machine.promises = promises;
      }
    };
  }

  #noteCallbacks({ id, callbacks }: MachinePromise): void {
    if (callbacks.size > 0) this.#awaited.add(id);
    else this.#awaited.delete(id);
  }

  /** When there will be something to do, or null. */
  nextDeadlineMs(): number | null {
    const promise = this.#promiseDeadlines.nextMs();
    const task = this.#taskDeadlines.nextMs();
    if (promise === null || task === null) return promise ?? task;
    return Math.min(promise, task);
  }

  tasks(): MachineTask[] {
    return [...this.#machine.tasks.values()];
  }

  /** How many promises are in memory. */
  get size(): number {
    return this.#machine.promises.size;
  }

  /** @param request is the machine's from now on */
  apply(nowMs: number, request: Request): Applied {
    const loaded = idsOf(request).filter((id) => this.#bringIn(id));
    const { response, changes } = this.#machine.apply(nowMs, request);
    const changed = new Set<string>();
    const messages: Message[] = [];
    for (const change of changes) {
      if (change.kind === 'promise.set') changed.add(change.promise.id);
      else if (change.kind === 'task.set') changed.add(change.task.id);
      else if (change.kind === 'message.send') messages.push(change.message);
    }
    return { status: response.head.status, data: response.data, messages, changed, loaded };
  }

  /** Settles the promises and announces the tasks whose time has come. */
  tick(nowMs: number): Applied {
    const machine = this.#machine;
    machine.pTimeouts = this.#promiseDeadlines.takeDue(nowMs).map(({ id, atMs }) => ({ id, timeout: atMs }));
    machine.tTimeouts = this.#taskDeadlines.takeDue(nowMs).map(({ id, atMs }) => ({ id, timeout: atMs, type: 0 }));
    const head = { corrId: 'tick', version: PROTOCOL_VERSION };
    const applied = this.apply(nowMs, { kind: 'debug.tick', head, data: { time: nowMs } });
    machine.pTimeouts = [];
    machine.tTimeouts = [];
    return applied;
  }

  /** Takes in a row, with its deadlines. */
  restore(row: StateRow, announceAtMs: number): void {
    const promise = promiseFrom(row.promise);
    this.#machine.promises.set(promise.id, promise);
    this.#noteCallbacks(promise);
    if (promise.state === 'pending' && promise.tags['resonate:target'] !== undefined)
      this.#promiseDeadlines.set(promise.id, promise.timeoutAt);
    if (row.task === null) return;
    const task = taskFrom(row.task);
    this.#machine.tasks.set(task.id, task);
    if (task.state !== 'pending') return;
    const delayMs = Number(promise.tags['resonate:delay'] ?? 0);
    this.#taskDeadlines.set(task.id, Number.isFinite(delayMs) ? Math.max(delayMs, announceAtMs) : announceAtMs);
  }

  /** The row of one in memory, and whether it is finished. */
  rowOf(id: string): (StateRow & { readonly finished: boolean }) | undefined {
    const promise = this.#machine.promises.get(id);
    if (promise === undefined) return undefined;
    const task = this.#machine.tasks.get(id);
    return {
      promise: JSON.stringify({ ...promise, callbacks: [...promise.callbacks], listeners: [...promise.listeners] }),
      task: task === undefined ? null : JSON.stringify({ ...task, resumes: [...task.resumes] }),
      finished: isFinished(promise, task),
    };
  }

  /** Forgets one that is finished. */
  forgetFinished(id: string): void {
    const promise = this.#machine.promises.get(id);
    if (promise === undefined || !isFinished(promise, this.#machine.tasks.get(id))) return;
    this.#machine.promises.delete(id);
    this.#machine.tasks.delete(id);
  }

  #bringIn(id: string): boolean {
    if (this.#machine.promises.has(id)) return false;
    const row = this.#load(id);
    if (row === undefined) return false;
    this.restore(row, Number.POSITIVE_INFINITY);
    return true;
  }
}

const isFinished = (promise: MachinePromise, task: MachineTask | undefined): boolean =>
  promise.state !== 'pending' && (task === undefined || task.state === 'fulfilled');

function promiseFrom(text: string): MachinePromise {
  const { callbacks, listeners, ...rest } = JSON.parse(text);
  return { ...rest, callbacks: new Set(callbacks), listeners: new Set(listeners) };
}

function taskFrom(text: string): MachineTask {
  const { resumes, ...rest } = JSON.parse(text);
  return { ...rest, resumes: new Set(resumes) };
}

/** Every promise or task that the request names and that the machine looks up. */
function idsOf({ kind, data }: Request): string[] {
  switch (kind) {
    case 'promise.register_callback':
      return [data.awaited, data.awaiter];
    case 'promise.register_listener':
      return [data.awaited];
    case 'task.create':
      return [data.action.data.id];
    case 'task.suspend':
      return [data.id, ...data.actions.map((action) => action.data.awaited)];
    case 'task.fence':
      return [data.id, data.action.data.id];
    case 'promise.get':
    case 'promise.create':
    case 'promise.settle':
    case 'task.get':
    case 'task.acquire':
    case 'task.release':
    case 'task.fulfill':
    case 'task.halt':
    case 'task.continue':
      return [data.id];
    default:
      return [];
  }
}
