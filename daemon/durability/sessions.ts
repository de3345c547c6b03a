/**
 * Which sessions this daemon owns: each is a durable function that is pending for as long as the session is open, and whose task is
 * held by the daemon in which it lives.
 *
 * I1: a session is owned by one daemon at most; one that was not closed is owned again, by whoever its task is given to.
 * I2: the engine is returned one text and never thrown at, which it would try again without end.
 * I3: a session that cannot be recovered, however often it is tried, is parked: nobody tries again until it is opened anew.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Resonate } from '@resonatehq/sdk/async';
import { Fault } from '../fault.ts';
import { NEVER_MS } from './durable-promises.ts';
import { open as openEnvelope, seal } from './envelope.ts';
import type { HeldTasks } from './held-tasks.ts';
import type { Holding } from './holding.ts';
import { safeId } from './safe-id.ts';
import type { PromiseRecord } from './sdk.ts';

/** The name and version of the function, as they stand on the server. */
const FUNCTION = 'session';
const FUNCTION_VERSION = 1;
/** Requests under way while everything is handed over. */
const RELEASED_AT_ONCE_MAX = 32;
/** How often a session is tried to be recovered, and how long it is waited before each further time. */
const PAUSES_MS = [1000, 5000];

export interface SessionOwnership {
  readonly sessionId: string;
  /** 1 for a new session; grows each time it changes hands, so what an earlier owner writes carries a lower one. */
  readonly fence: number;
  /** Aborted when the session may be another daemon's: from then on nothing may be done for it here. */
  readonly signal: AbortSignal;
  /** The same, of this very moment, for the last look before an effect. */
  isHeld(): boolean;
}

/** Goes on with a session that was left by its owner; `closed` where there is nothing to go on with. */
export type RecoverSession = (ownership: SessionOwnership) => Promise<'open' | 'closed'>;

export type Standing = { readonly state: 'held'; readonly fence: number } | { readonly state: 'free' | 'parked' };

export interface SessionsParts {
  readonly resonate: Pick<Resonate, 'register' | 'rpc' | 'options'>;
  readonly tasks: HeldTasks;
  readonly anybody: string;
  readonly group: string;
  readonly nowMs: () => number;
  readonly log: (line: string) => void;
}

interface Opening {
  readonly started: (ownership: SessionOwnership | null) => void;
  /** Known once the server has granted it. */
  holding: Holding | undefined;
}

export class Sessions {
  readonly #parts: SessionsParts;
  readonly #owned = new Map<string, SessionOwnership>();
  readonly #opening = new Map<string, Opening>();
  readonly #recover = Promise.withResolvers<RecoverSession>();
  #hasHandler = false;

  constructor(parts: SessionsParts) {
    this.#parts = parts;
    const run = (info: { readonly id: string }, sealed: string): Promise<string> => this.#run(info.id, sealed);
    parts.resonate.register(FUNCTION, run, { version: FUNCTION_VERSION });
  }

  /** Whether the promise asks for our function, in a way that the engine can carry out. */
  static canRun(group: string, { id, param, tags, state }: PromiseRecord): boolean {
    if (typeof param?.data !== 'string' || state !== 'pending' || tags?.['resonate:timer'] !== undefined) return false;
    try {
      const { func, args, version, retry } = JSON.parse(Buffer.from(param.data, 'base64').toString());
      if (func !== FUNCTION || version !== FUNCTION_VERSION || retry !== undefined) return false;
      const session = Array.isArray(args) && args.length === 1 ? sessionIn(args[0]) : null;
      return session !== null && safeId(group, 'session', session) === id;
    } catch {
      return false;
    }
  }

  /** What is called for every session that this daemon is to go on with; until it is given, they wait. Once. */
  onRecover(handler: RecoverSession): void {
    if (this.#hasHandler) throw new Error('sessions are recovered by one handler');
    this.#hasHandler = true;
    this.#recover.resolve(handler);
  }

  /**
   * Makes this daemon the owner of a session that nobody owns: a new one, or (`fence` above 1) one that was left or parked and
   * that the caller has to recover; or names the owner that it already is, which may still be recovering it. null: another daemon owns it, or it was closed. Fails with UNAVAILABLE.
   */
  async open(sessionId: string): Promise<SessionOwnership | null> {
    const { resonate, tasks, anybody, group, nowMs } = this.#parts;
    const id = safeId(group, 'session', sessionId);
    const known = this.#owned.get(id);
    if (known?.isHeld()) return known;
    if (this.#opening.has(id)) throw new Fault('CONFLICT', 'The session is being opened already.');
    const started = Promise.withResolvers<SessionOwnership | null>();
    const opening: Opening = { started: started.resolve, holding: undefined };
    this.#opening.set(id, opening);
    try {
      const options = resonate.options({ target: anybody, timeout: NEVER_MS - nowMs(), version: FUNCTION_VERSION });
      await resonate.rpc(id, FUNCTION, seal({ session: sessionId }), options);
      // One that is ending here is nobody's.
      opening.holding = tasks.holding(id);
      if (!opening.holding?.isHeld()) return null;
      return await started.promise;
    } catch (error) {
      if (error instanceof Fault) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new Fault('UNAVAILABLE', `The Resonate server opens no session (${reason}).`, undefined, { cause: error });
    } finally {
      this.#opening.delete(id);
    }
  }

  /**
   * Who has a session: `held` under that fence, `free` until it is given to somebody, `parked` until it is opened anew. null where
   * there is none, or it was closed. Fails with UNAVAILABLE.
   */
  async standing(sessionId: string): Promise<Standing | null> {
    const { tasks, group } = this.#parts;
    const task = await tasks.standing(safeId(group, 'session', sessionId));
    if (task === null || task.state === 'fulfilled') return null;
    if (task.state === 'acquired') return { state: 'held', fence: task.version };
    return { state: task.state === 'halted' ? 'parked' : 'free' };
  }

  /** Ends a session for good. False where it is not owned here, or no longer by the time that the server could be told. */
  close(sessionId: string): Promise<boolean> {
    return this.#parts.tasks.end(safeId(this.#parts.group, 'session', sessionId), 'done');
  }

  /** Gives every session away, for other daemons to go on with at once. */
  async releaseAll(): Promise<void> {
    const ids = [...this.#owned.keys()];
    const lane = async (): Promise<void> => {
      for (let id = ids.pop(); id !== undefined; id = ids.pop()) await this.#parts.tasks.end(id, 'released');
    };
    await Promise.all(Array.from({ length: RELEASED_AT_ONCE_MAX }, lane));
  }

  /** Its task is not held any more. */
  dropped(holding: Holding): void {
    const { id, version } = holding;
    if (this.#owned.get(id)?.fence === version) this.#owned.delete(id);
    const opening = this.#opening.get(id);
    if (opening?.holding === holding) opening.started(null);
  }

  /** The durable function. It returns when the session has started, and is done when the session is closed. */
  async #run(id: string, sealed: string): Promise<string> {
    const { tasks } = this.#parts;
    const holding = tasks.holding(id);
    const sessionId = sessionIn(sealed);
    if (holding === undefined || sessionId === null) return STARTED;
    const ownership = new Ownership(sessionId, holding);
    this.#owned.set(id, ownership);
    const opened = this.#opening.get(id);
    if (opened !== undefined) opened.started(ownership);
    else {
      const ending = await this.#tryToRecover(ownership);
      // Not of a later holding of the same session.
      if (ending !== undefined && ownership.isHeld()) await tasks.end(id, ending);
    }
    tasks.started(id);
    return STARTED;
  }

  /** How the session is to end; undefined where it goes on. */
  async #tryToRecover(ownership: SessionOwnership): Promise<'done' | 'parked' | undefined> {
    const recover = await this.#recover.promise;
    for (let attempt = 0; ; attempt++) {
      try {
        return (await recover(ownership)) === 'closed' ? 'done' : undefined;
      } catch (error) {
        const pauseMs = PAUSES_MS[attempt];
        const { message } = error as Error;
        if (!ownership.isHeld()) return undefined;
        if (pauseMs === undefined) {
          this.#parts.log(`the session ${ownership.sessionId} cannot be recovered and is put aside: ${message}`);
          return 'parked';
        }
        this.#parts.log(`the session ${ownership.sessionId} could not be recovered and is tried again: ${message}`);
        await sleep(pauseMs);
      }
    }
  }
}

const STARTED = seal({ started: true });

function sessionIn(sealed: unknown): string | null {
  const session = openEnvelope(sealed)?.['session'];
  return typeof session === 'string' && session !== '' ? session : null;
}

class Ownership implements SessionOwnership {
  readonly sessionId: string;
  readonly #holding: Holding;

  constructor(sessionId: string, holding: Holding) {
    this.sessionId = sessionId;
    this.#holding = holding;
  }

  get fence(): number {
    return this.#holding.version;
  }

  get signal(): AbortSignal {
    return this.#holding.signal;
  }

  isHeld(): boolean {
    return this.#holding.isHeld();
  }
}
