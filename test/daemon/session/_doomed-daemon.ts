/**
 * The parts of a daemon that sessions are made of, real ones, over hosts in memory: it can be killed at any of many moments, and
 * another goes on with what it had committed.
 */
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Audit } from '../../../daemon/audit/audit-log.ts';
import { type CallContext, Capability } from '../../../daemon/capabilities/capability.ts';
import { makeEffects } from '../../../daemon/capabilities/effects.ts';
import { Engines } from '../../../daemon/capabilities/engines.ts';
import { type AllowedCall, Gate } from '../../../daemon/capabilities/gate.ts';
import { CapabilityRegistry } from '../../../daemon/capabilities/registry.ts';
import { systemClock } from '../../../daemon/clock.ts';
import { type Durability, openDurability } from '../../../daemon/durability/durability.ts';
import { SessionStore } from '../../../daemon/durability/session-store.ts';
import { Fault } from '../../../daemon/fault.ts';
import { Inbox } from '../../../daemon/hitl/inbox.ts';
import { Packages } from '../../../daemon/packages/packages.ts';
import { Executions } from '../../../daemon/session/executions.ts';
import { SessionOwners } from '../../../daemon/session/session-owners.ts';
import { SessionRegistry } from '../../../daemon/session/session-registry.ts';
import { type Principal, principalOf } from '../../../daemon/transport/principal.ts';
import { parsePolicy } from '../../../policies/parse.ts';
import type { Policy } from '../../../policies/policy.ts';
import { editedFiles } from '../../policies/shipped-files.ts';
import { MemoryHosts } from './_memory-hosts.ts';
import { answerOf, type EffectKind } from './_random-program.ts';

export const OWNER = principalOf('owner-token-of-the-tests-0123456789') as Principal;
const ADMIN = principalOf('admin-token-of-the-tests-0123456789') as Principal;
export const LEVEL = 'trusted';

/** `sleep`: the session's isolate, or all of it, is given up until it is needed. `stop`: the daemon ends in good order. */
export type Disturbance = 'kill' | 'stop' | 'hosts' | 'sleep';

export interface Planned {
  readonly what: Disturbance;
  /** So many moments after the one before. */
  readonly after: number;
  /** Only moments that begin so are counted. */
  readonly at?: string;
}

export interface Disturbances {
  readonly plan: readonly Planned[];
  /** Turns that effects take before and after they are done, one after another. */
  readonly delays: readonly number[];
}

/** A name that no plain word is: it says how the effect goes on after it was done. */
const fails = (name: string): boolean => name.startsWith('!');
const isHeld = (name: string): boolean => name.startsWith('~');

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What outlives every daemon: the files, the world in which effects are done, and what is still to happen. */
export class Lab {
  readonly folder = mkdtempSync(join(tmpdir(), 'pyrepl3-programs-'));
  readonly engines = new Engines({
    stateDir: this.folder,
    ownFolders: [],
    environment: {},
    clock: systemClock,
    commonLog: null,
  });
  readonly policy: Policy;
  #files = 0;

  constructor() {
    const lines = ['tally: {}', 'strike: {}'].map((line) => `\n  ${line}`).join('');
    const { catalogue } = new CapabilityRegistry(makeEffects(this.engines, systemClock), customEffects(undefined));
    const parsed = parsePolicy(
      editedFiles(LEVEL, (text) => text.replace('grants:', `grants:${lines}`)),
      catalogue,
    );
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    this.policy = parsed.policy;
  }

  file(): string {
    return join(this.folder, `${++this.#files}.sqlite`);
  }

  async close(): Promise<void> {
    await this.engines.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** One run of a program: everything that happens in it, over all its daemons. */
export class Run {
  readonly lab: Lab;
  readonly done: string[] = [];
  /** What happened, for whoever has to find out why it went wrong. */
  readonly story: string[] = [];
  file: string;
  daemon!: DoomedDaemon;
  readonly #plan: Planned[];
  readonly #delays: readonly number[];
  #effects = 0;
  #moments = 0;

  constructor(lab: Lab, { plan, delays }: Disturbances) {
    this.lab = lab;
    this.file = lab.file();
    this.#plan = [...plan];
    this.#delays = delays;
  }

  /** What was planned and did not come. */
  get left(): readonly Planned[] {
    return this.#plan;
  }

  get delay(): number {
    return this.#delays[this.#effects++ % this.#delays.length] ?? 0;
  }

  timesDone(name: string): number {
    return this.done.filter((each) => each === name).length;
  }

  moment(daemon: DoomedDaemon, what: string): void {
    if (daemon.dead) return;
    this.story.push(what);
    const [next] = this.#plan;
    if (next === undefined || !what.startsWith(next.at ?? '') || ++this.#moments < next.after) return;
    this.#plan.shift();
    this.#moments = 0;
    this.story.push(`--- ${next.what} ---`);
    daemon.suffer(next.what);
  }
}

class Effect extends Capability<EffectKind, [string]> {
  override readonly name: EffectKind;
  override readonly summary = 'Counts.';
  override readonly signature: string;
  override readonly stub = '';
  override readonly idempotent: boolean;
  override readonly patient = false;
  override readonly args = v.strictTuple([v.pipe(v.string(), v.maxLength(64))]);
  readonly #daemon: DoomedDaemon | undefined;

  constructor(name: EffectKind, daemon: DoomedDaemon | undefined) {
    super();
    this.name = name;
    this.signature = `declare function ${name}(name: string): Promise<number>;`;
    this.idempotent = name === 'tally';
    this.#daemon = daemon;
  }

  override async invoke({ args: [name] }: AllowedCall<EffectKind, [string]>, { signal }: CallContext): Promise<number> {
    const daemon = this.#daemon as DoomedDaemon;
    const { run } = daemon;
    await daemon.living(`before ${name}`, run.delay);
    run.done.push(name);
    await daemon.living(`done ${name}`, run.delay);
    if (isHeld(name)) {
      if (!signal.aborted) await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      await daemon.living(`ended ${name}`, run.delay);
      throw new Fault('INTERRUPTED', 'It was ended.');
    }
    if (fails(name)) throw new Fault('EFFECT_FAILED', `no ${name}`);
    return answerOf(name);
  }
}

const customEffects = (daemon: DoomedDaemon | undefined) =>
  (['strike', 'tally'] as const).map((name) => ({
    capability: new Effect(name, daemon) as unknown as Capability,
    fields: {},
  }));

export class DoomedDaemon {
  readonly run: Run;
  readonly registry: SessionRegistry;
  readonly #durability: Durability;
  readonly #hosts: MemoryHosts;
  readonly #inbox: Inbox;
  readonly #end = Promise.withResolvers<void>();
  readonly #ending = new AbortController();
  /** What the client does when its session is to be put to sleep. */
  onSleep: () => void = () => undefined;
  dead = false;

  private constructor(run: Run, durability: Durability) {
    this.run = run;
    run.daemon = this;
    const { lab } = run;
    this.#durability = durability;
    const { runtime } = durability;
    this.#hosts = new MemoryHosts((what) => run.moment(this, what));
    // A decision is on record before its effect; of a dead daemon none is.
    const assertAlive = (): void => {
      if (this.dead) throw new Fault('UNAVAILABLE', 'dead');
    };
    const audit: Audit = { append: assertAlive, note: () => undefined };
    const { monotonicMs, nowMs } = systemClock;
    this.#inbox = new Inbox({ nowMs, monotonicMs, audit });
    const policy = (): Policy => lab.policy;
    const log = (line: string): void => void run.story.push(line);
    const store = new SessionStore(durability.store);
    this.registry = new SessionRegistry({
      pool: this.#hosts,
      packages: new Packages(),
      gate: new Gate(policy, () => 'hash', audit),
      audit,
      registry: new CapabilityRegistry(makeEffects(lab.engines, systemClock), customEffects(this)),
      inbox: this.#inbox,
      ...{ policy, store, log, nowMs, monotonicMs },
      owners: new SessionOwners({ runtime, store, group: null, monotonicMs }),
      ceilings: () => ({ client: LEVEL, admin: LEVEL }),
      executions: new Executions(monotonicMs),
      closed: () => undefined,
    });
  }

  /** Starts over what the one before has left; undefined where it does not live long enough to be asked anything. */
  static async start(run: Run): Promise<DoomedDaemon> {
    const { file } = run;
    const log = (line: string): void => void run.story.push(line);
    const durability = await openDurability({ file, cacheFile: '', resonate: null, clock: systemClock, log });
    const daemon = new DoomedDaemon(run, durability);
    void daemon.#attend();
    await Promise.race([daemon.registry.restore(), daemon.ended]);
    return daemon;
  }

  get ended(): Promise<void> {
    return this.#end.promise;
  }

  suffer(what: Disturbance): void {
    if (what === 'kill') this.#die();
    else if (what === 'hosts') this.#hosts.killAll();
    else if (what === 'sleep') setImmediate(() => this.onSleep());
    else setImmediate(() => this.stop());
  }

  /** Nothing that was not committed is there any more, and nothing is done from here on. */
  #die(): void {
    if (this.dead) return;
    const { lab, file } = this.run;
    const copy = lab.file();
    for (const part of ['', '-wal']) if (existsSync(file + part)) copyFileSync(file + part, copy + part);
    this.run.file = copy;
    this.#over();
  }

  /** As a daemon ends that is told to. */
  stop(): void {
    if (this.dead) return;
    this.#over();
  }

  #over(): void {
    this.dead = true;
    this.#durability.store.close();
    this.#hosts.end();
    void this.#durability.runtime.stop();
    setImmediate(() => this.#clearAway());
    this.#end.resolve();
  }

  /** No timer of it is left. */
  #clearAway(): void {
    this.#ending.abort();
    const admin = { role: 'admin' as const, principal: ADMIN };
    for (const { sessionId } of this.registry.list(admin)) {
      try {
        this.registry.close(this.registry.findToLeave(sessionId, admin), 'over').catch(() => undefined);
      } catch {
        // It sleeps, and has nothing that could be left.
      }
    }
    this.registry.suspendAll();
  }

  /** Goes on after so many turns, and after that moment, in a daemon that is still there. */
  async living(what: string, turns: number): Promise<void> {
    for (let i = 0; i < turns; i++) await turn();
    this.run.moment(this, what);
    if (this.dead) await new Promise(() => undefined);
  }

  /** A person who settles doubts, and looks at what was done for that. What is held until its cell is stopped is left to that. */
  async #attend(): Promise<void> {
    for (let after = 0; !this.dead; ) {
      const { change, approvals } = await this.#inbox.changes(after, 60_000, this.#ending.signal);
      after = change;
      for (const { approvalId, hash, status, args } of approvals) {
        const [name = ''] = args as string[];
        if (status !== 'pending' || this.dead || isHeld(name)) continue;
        const wasDone = this.run.timesDone(name) > 0;
        const decision = wasDone && fails(name) ? 'deny' : 'approve';
        const value = wasDone && decision === 'approve' ? { value: answerOf(name) } : {};
        this.run.moment(this, `doubt about ${name}: ${decision} ${JSON.stringify(value)}`);
        if (!this.dead)
          this.#inbox.settle({ approvalId, hash, decision, ...value }, { principal: ADMIN, role: 'admin' });
      }
    }
  }
}
