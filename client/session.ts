import { randomUUID } from 'node:crypto';
import { GuestError, PyreplError } from './errors.ts';
import { EventBuffer, type EventGap } from './event-buffer.ts';
import { type ExecuteOptions, Execution } from './execution.ts';
import { type InputHandler, InputRequests } from './input-requests.ts';
import type {
  CapabilityInfo,
  CheckpointInfo,
  ExecutionResult,
  FaultCode,
  MethodName,
  NamespaceEntry,
  Params,
  Results,
  Role,
  SessionEvent,
  SessionInfo,
  Value,
} from './protocol.ts';
import { ProvidedCapabilities, type ProvidedHandler, type ProvideOptions } from './provided-capabilities.ts';

export interface CallOptions {
  /** Ends the waiting; a request that was sent is not taken back. */
  readonly signal?: AbortSignal;
}

/** What a session needs of its client. */
export interface SessionPowers {
  call<M extends MethodName>(method: M, params: Params<M>, options?: CallOptions): Promise<Results[M]>;
  /** The session is over for this client; its events are not delivered any more. */
  forget(session: Session): void;
  readonly sourceBytesMax: () => number;
  /** Of the connection: it may not follow sessions above its ceiling. */
  readonly role: () => Role;
}

export interface Checkpoints {
  /** Gives the state of now a name, or the one given; rejects BUSY while a cell runs. */
  create(name?: string, options?: CallOptions): Promise<CheckpointInfo>;
  list(options?: CallOptions): Promise<readonly CheckpointInfo[]>;
  /** The session is as it was then. What its cells did outside stays done. Rejects INVALID_PARAMS where there is no such name. */
  restore(name: string, options?: CallOptions): Promise<void>;
}

export interface Namespace {
  list(options?: CallOptions): Promise<readonly NamespaceEntry[]>;
  /** Rejects INVALID_PARAMS where there is no such name. */
  get(name: string, options?: CallOptions): Promise<Value>;
  /** Merges: the given names are set, no others are touched. Values are JSON. Resolves to the names that were set. */
  set(values: Readonly<Record<string, unknown>>, options?: CallOptions): Promise<readonly string[]>;
  /** Resolves to the names that were there. */
  delete(names: string | readonly string[], options?: CallOptions): Promise<readonly string[]>;
}

/** Already what closing a session wants, so no reason to fail. */
const GONE: readonly FaultCode[] = ['UNKNOWN_SESSION', 'SESSION_CLOSED'];

/**
 * One REPL session on the daemon, as this client sees it.
 *
 * Owns the number of the last event seen and the streams that events go to. Invariants: an event is delivered once and
 * in order, whatever the connection does; events that cannot be had any more are marked by one `events.gap`; every
 * stream ends when the session is closed, detached, moved above the client's ceiling, or its client is closed.
 */
export class Session implements AsyncDisposable {
  readonly sessionId: string;
  readonly namespace: Namespace;
  readonly checkpoints: Checkpoints;
  readonly #powers: SessionPowers;
  readonly #executions = new Map<string, Execution>();
  readonly #streams = new Set<EventBuffer<SessionEvent>>();
  readonly #inputs: InputRequests;
  readonly #provided = new ProvidedCapabilities();
  readonly #caughtUp = new Set<{ readonly seq: number; readonly resolve: () => void }>();
  #info: SessionInfo | null = null;
  /** The last event seen; null until the daemon says where its stream stands. */
  #lastSeq: number | null;
  /** Where to count from when it says so: events between are missing. */
  #gapFromSeq: number | null = null;
  #over = false;
  /** The daemon lets this client follow it no more; it is still there to be closed. */
  #outOfReach = false;

  constructor(sessionId: string, afterSeq: number | null, powers: SessionPowers) {
    this.sessionId = sessionId;
    this.#lastSeq = afterSeq;
    this.#powers = powers;
    this.#inputs = new InputRequests((requestId, text) =>
      powers.call('input.answer', { sessionId, requestId, text }).then(() => undefined),
    );
    this.checkpoints = {
      create: (name, options) =>
        powers.call('checkpoint.create', { sessionId, ...(name !== undefined && { name }) }, options),
      list: async (options) => (await powers.call('checkpoint.list', { sessionId }, options)).checkpoints,
      restore: async (name, options) => {
        this.#info = await powers.call('checkpoint.restore', { sessionId, name }, options);
      },
    };
    this.namespace = {
      list: async (options) => (await powers.call('namespace.list', { sessionId }, options)).names,
      get: async (name, options) => (await powers.call('namespace.get', { sessionId, name }, options)).value,
      set: async (values, options) =>
        (await powers.call('namespace.set', { sessionId, values: { ...values } }, options)).set,
      delete: async (names, options) => {
        const params = { sessionId, names: typeof names === 'string' ? [names] : [...names] };
        return (await powers.call('namespace.delete', params, options)).deleted;
      },
    };
  }

  /** As the daemon last described it; `show` asks again. */
  get info(): SessionInfo {
    if (!this.#info) throw new PyreplError('INTERNAL', 'the session is not attached yet');
    return this.#info;
  }

  /** Whether it was closed, detached, or lost with its client. */
  get closed(): boolean {
    return this.#over;
  }

  /** Starts a cell. Cells of one session run one after the other, in the order in which they were sent. */
  execute(source: string, options: ExecuteOptions = {}): Execution {
    const executionId = options.executionId ?? randomUUID();
    const { sessionId } = this;
    const { timeoutMs, rollbackOnError } = options;
    const params = {
      ...{ sessionId, source, executionId },
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(rollbackOnError !== undefined && { rollbackOnError }),
    };
    const execution: Execution = new Execution(executionId, options, {
      send: () => {
        this.#refuseTooLarge(source);
        return this.#powers.call('session.execute', params);
      },
      interrupt: async () => (await this.#powers.call('session.interrupt', { sessionId, executionId })).interrupted,
      caughtUp: () => this.#untilCaughtUp(execution),
    });
    this.#executions.set(executionId, execution);
    const forget = (): void => {
      if (this.#executions.get(executionId) === execution) this.#executions.delete(executionId);
    };
    execution.then(forget, forget);
    return execution;
  }

  /**
   * Runs a cell and resolves to its value where that is JSON, to undefined where it is not (`execute` has its preview).
   * Throws GuestError where the cell failed, the signal's reason where that interrupted it.
   */
  async run(source: string, options: ExecuteOptions = {}): Promise<unknown> {
    const result: ExecutionResult = await this.execute(source, options);
    if (result.error?.code === 'INTERRUPTED') options.signal?.throwIfAborted();
    if (result.error) throw new GuestError(result.error, result);
    return result.value?.kind === 'json' ? result.value.json : undefined;
  }

  /** All that happens in the session from now on, as one reader's own stream. It ends with the session. */
  events(): AsyncIterableIterator<SessionEvent | EventGap> {
    const stream = new EventBuffer<SessionEvent>();
    if (this.#over) stream.end();
    else this.#streams.add(stream);
    const leave = (): ReturnType<typeof stream.return> => {
      this.#streams.delete(stream);
      return stream.return();
    };
    return {
      next: () => stream.next(),
      return: leave,
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /**
   * Answers the guest's `input()`: with the text that the handler resolves to, or null for "no more input". Without a
   * handler requests wait. The handler's signal is aborted when the request needs no answer any more. One handler at a
   * time; returns what removes it. A handler that throws answers null.
   */
  onInput(handler: InputHandler): () => void {
    return this.#inputs.handle(handler);
  }

  complete(
    source: string,
    cursor: number = source.length,
    options?: CallOptions,
  ): Promise<Results['session.complete']> {
    return this.#powers.call('session.complete', { sessionId: this.sessionId, source, cursor }, options);
  }

  inspect(source: string, cursor: number = source.length, options?: CallOptions): Promise<Results['session.inspect']> {
    return this.#powers.call('session.inspect', { sessionId: this.sessionId, source, cursor }, options);
  }

  async isComplete(source: string, options?: CallOptions): Promise<Results['session.isComplete']['status']> {
    return (await this.#powers.call('session.isComplete', { sessionId: this.sessionId, source }, options)).status;
  }

  async capabilities(options?: CallOptions): Promise<readonly CapabilityInfo[]> {
    return (await this.#powers.call('capability.list', { sessionId: this.sessionId }, options)).capabilities;
  }

  /**
   * Gives the guest code of this session a function of that name, which the handler answers. It is provided again on
   * every new connection, until it is withdrawn or the session is over. Rejects CAPABILITY_DENIED where the level lets
   * clients provide nothing, INVALID_PARAMS for a name that means something already and for a schema that the daemon
   * does not take.
   */
  async provide(
    name: string,
    options: ProvideOptions,
    handler: ProvidedHandler,
    callOptions?: CallOptions,
  ): Promise<void> {
    // Known before it is offered: a cell that runs may call it before the answer is here.
    const { offer, undo } = this.#provided.add(name, options, handler);
    try {
      await this.#powers.call('capability.provide', { sessionId: this.sessionId, ...offer }, callOptions);
    } catch (error) {
      undo();
      throw error;
    }
  }

  /** Takes a function away again: calls of it are refused from now on. */
  async withdraw(name: string, options?: CallOptions): Promise<void> {
    await this.#powers.call('capability.withdraw', { sessionId: this.sessionId, name }, options);
    this.#provided.remove(name);
  }

  show(options?: CallOptions): Promise<SessionInfo> {
    return this.#describedBy(this.#powers.call('session.show', { sessionId: this.sessionId }, options));
  }

  /** Interrupts the running cell. Resolves to whether there was one. */
  async interrupt(options?: CallOptions): Promise<boolean> {
    return (await this.#powers.call('session.interrupt', { sessionId: this.sessionId }, options)).interrupted;
  }

  /** Gives the session a fresh isolate: every name in it is gone. */
  reset(options?: CallOptions): Promise<SessionInfo> {
    return this.#describedBy(this.#powers.call('session.reset', { sessionId: this.sessionId }, options));
  }

  setLevel(level: string, options?: CallOptions): Promise<SessionInfo> {
    return this.#describedBy(this.#powers.call('session.setLevel', { sessionId: this.sessionId, level }, options));
  }

  /** Ends the session on the daemon; one that is gone already is closed too. */
  async close(options?: CallOptions): Promise<void> {
    if (this.#over && !this.#outOfReach) return;
    try {
      await this.#powers.call('session.close', { sessionId: this.sessionId }, options);
    } catch (error) {
      if (!isFault(error, GONE)) throw error;
    }
    this.end(null);
  }

  /** Leaves the session alive on the daemon; `Client.attachSession` finds it again, from `lastSeq` on if asked. */
  async detach(options?: CallOptions): Promise<void> {
    if (this.#over) return;
    await this.#powers.call('session.detach', { sessionId: this.sessionId }, options);
    this.end(null);
  }

  /** The number of the last event that was delivered, 0 where there was none. */
  get lastSeq(): number {
    return this.#lastSeq ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.close();
    } catch (error) {
      if (!isFault(error, ['UNAVAILABLE'])) throw error;
    }
  }

  /** For the client: what an attach answered; events after `afterSeq` follow it. */
  attached(info: SessionInfo, afterSeq: number = info.seq): void {
    this.#info = info;
    if (this.#lastSeq === null) this.#startFrom(afterSeq);
  }

  /** For the client: what to provide again on a new connection. */
  get provided(): ProvidedCapabilities['offers'] {
    return this.#provided.offers;
  }

  /** For the client: guest code has called what this session provides. */
  invoked(name: string, args: readonly unknown[]): Promise<unknown> {
    return this.#provided.invoke(name, args);
  }

  /** For the client: the events after `lastSeq` are gone; the stream goes on where the daemon's answer says. */
  eventsGone(): void {
    this.#gapFromSeq = this.lastSeq + 1;
    this.#lastSeq = null;
  }

  /** For the client: an event of this session, perhaps one that was seen before. */
  deliver(event: SessionEvent): void {
    if (this.#over) return;
    if (this.#lastSeq === null) this.#startFrom(event.seq - 1);
    const lastSeq = this.lastSeq;
    if (event.seq <= lastSeq) return;
    if (event.seq > lastSeq + 1) this.#markGap(lastSeq + 1, event.seq - 1);
    this.#lastSeq = event.seq;
    for (const stream of this.#streams) stream.push(event);
    this.#toExecution(event);
    if (event.kind === 'input.requested') this.#inputs.requested(event);
    if (event.kind === 'input.settled') this.#inputs.settled(event.requestId);
    if (event.kind === 'session.level' && this.#info) this.#info = { ...this.#info, level: event.level };
    this.#releaseCaughtUp();
    if (event.kind === 'session.closed') this.end(null);
    if (event.kind === 'session.detached' && event.role === this.#powers.role())
      this.end(new PyreplError('LEVEL_DENIED', event.reason));
  }

  /** For the client: nothing more will come, because of `error` if there is one. */
  end(error: PyreplError | null): void {
    if (this.#over) return;
    this.#over = true;
    this.#outOfReach = error?.code === 'LEVEL_DENIED';
    for (const stream of this.#streams) stream.end(error);
    this.#streams.clear();
    this.#inputs.cancel();
    this.#provided.clear();
    this.#releaseCaughtUp();
    this.#powers.forget(this);
  }

  #toExecution(event: SessionEvent): void {
    if (!('executionId' in event) || event.executionId === null) return;
    const execution = this.#executions.get(event.executionId);
    if (!execution) return;
    if (event.kind === 'execution.finished') execution.finish();
    else if (event.kind !== 'execution.started') execution.deliver(event);
  }

  #startFrom(seq: number): void {
    if (this.#gapFromSeq !== null && this.#gapFromSeq <= seq) this.#markGap(this.#gapFromSeq, seq);
    this.#gapFromSeq = null;
    this.#lastSeq = seq;
    this.#releaseCaughtUp();
  }

  #markGap(fromSeq: number, toSeq: number): void {
    const gap: EventGap = { kind: 'events.gap', sessionId: this.sessionId, fromSeq, toSeq, reason: 'gone' };
    for (const stream of this.#streams) stream.push(gap);
    for (const execution of this.#executions.values()) execution.deliver(gap);
  }

  /** Asks where the stream stands and waits until it has arrived here: answers may overtake events. */
  async #untilCaughtUp(execution: Execution): Promise<void> {
    if (this.#over) return;
    let seq: number;
    try {
      ({ seq } = await this.#powers.call('session.show', { sessionId: this.sessionId }));
    } catch {
      // Without a session there is no stream to wait for; the result is what counts.
      return;
    }
    if (this.#over || execution.finished || this.lastSeq >= seq) return;
    await new Promise<void>((resolve) => this.#caughtUp.add({ seq, resolve }));
  }

  #releaseCaughtUp(): void {
    for (const waiter of this.#caughtUp) {
      if (!this.#over && this.lastSeq < waiter.seq) continue;
      this.#caughtUp.delete(waiter);
      waiter.resolve();
    }
  }

  async #describedBy(answer: Promise<SessionInfo>): Promise<SessionInfo> {
    this.#info = await answer;
    return this.#info;
  }

  #refuseTooLarge(source: string): void {
    const bytesMax = this.#powers.sourceBytesMax();
    const bytes = Buffer.byteLength(source);
    if (bytes <= bytesMax) return;
    throw new PyreplError('TOO_LARGE', `the source is ${bytes} bytes; the daemon accepts ${bytesMax}`, {
      details: { bytes, bytesMax },
    });
  }
}

function isFault(error: unknown, codes: readonly FaultCode[]): boolean {
  return error instanceof PyreplError && codes.includes(error.code);
}
