/**
 * What one session can do to the world: which capabilities it has now, what it has used of them, what it holds open, and the calls
 * that are under way.
 *
 * I1: what an isolate holds open ends with it; nothing that it started is answered into the next one.
 * I2: a capability that is taken away ends the calls of it that are under way.
 */
import type { CapabilityInfo, EventBody } from '../../client/protocol.ts';
import type { ConstraintsOf } from '../../policies/capabilities.ts';
import { lowestLevelGranting } from '../../policies/evaluate.ts';
import type { Grant, Policy } from '../../policies/policy.ts';
import type { IsolateSpec } from '../../sandbox/protocol.ts';
import type { Audit } from '../audit/audit-log.ts';
import type { CallContext, Capability } from '../capabilities/capability.ts';
import type { Entitlements } from '../capabilities/entitlements.ts';
import { type CallerSession, denied, type Gate } from '../capabilities/gate.ts';
import { Handles } from '../capabilities/handles.ts';
import { ProvidedCapabilities, type ProvidedOffer, type Provider } from '../capabilities/provided.ts';
import { Redactor } from '../capabilities/redactor.ts';
import type { CapabilityRegistry } from '../capabilities/registry.ts';
import { SessionUsage } from '../capabilities/usage.ts';
import type { KeptOverLives, RecordedCall, StoredRaise } from '../durability/journal-records.ts';
import type { RebuiltCall } from '../durability/rebuilt.ts';
import type { Fault } from '../fault.ts';
import type { Inbox } from '../hitl/inbox.ts';
import { CapabilityDesk } from './capability-desk.ts';
import { DenialNotes } from './denial-notes.ts';
import type { SessionLife } from './session-life.ts';
import { SessionRequests } from './session-requests.ts';

/** What the daemon gives every session. */
export interface EffectsPowers {
  readonly gate: Gate;
  readonly audit: Audit;
  readonly registry: CapabilityRegistry;
  readonly inbox: Pick<Inbox, 'request'>;
  readonly policy: () => Policy;
  readonly monotonicMs: () => number;
  readonly log: (line: string) => void;
}

/** What the effects need of their own session. */
export interface EffectsSession {
  readonly sessionId: string;
  readonly sessionName: string | null;
  readonly principal: string;
  readonly language: string;
  emit(event: EventBody): void;
  readonly life: Pick<
    SessionLife,
    'opened' | 'waitsFor' | 'begun' | 'commit' | 'asked' | 'decided' | 'approvedOnce' | 'used' | 'secret'
  >;
  /** Fails with UNAVAILABLE where the session may be another daemon's by now. */
  assertOwned(): void;
  settle(call: RecordedCall, ok: boolean, json: string): void;
  waitPatiently(): () => void;
  requestInput(made: RebuiltCall, prompt: string, waitMs: number, signal: AbortSignal): Promise<string | null>;
}

interface Effect {
  readonly capability: Capability;
  /** The policy's name for it. */
  readonly grantedAs: string;
}

interface OpenCall {
  readonly record: RecordedCall;
  /** It waits for a person or a timer. */
  readonly patient: boolean;
  readonly executionId: string | null;
  readonly grantedAs: string | undefined;
  readonly ending: AbortController;
}

/** What the isolate of a session has. */
interface IsolateLife {
  readonly handles: Handles;
  readonly calls: Set<OpenCall>;
}

export class SessionEffects {
  readonly redactor: Redactor;
  /** What the session's client offers it. */
  readonly provided = new ProvidedCapabilities();
  readonly #powers: EffectsPowers;
  readonly #session: EffectsSession;
  readonly #desk: CapabilityDesk;
  readonly #usage: SessionUsage;
  readonly #approvedOnce = new Set<string>();
  readonly #denials = new DenialNotes();
  #entitlements: Entitlements;
  readonly #requests: SessionRequests;
  #life: IsolateLife = newLife();
  /** The names that the session was known to have when somebody was last told. */
  #told: ReadonlySet<string>;

  constructor(entitlements: Entitlements, powers: EffectsPowers, session: EffectsSession) {
    this.#entitlements = entitlements;
    this.#powers = powers;
    this.#session = session;
    this.#told = new Set(entitlements.grants.keys());
    this.#usage = new SessionUsage(powers.monotonicMs);
    this.redactor = new Redactor((name, value) => session.life.secret(name, value));
    const { sessionId, sessionName, principal, language } = session;
    this.#requests = new SessionRequests({
      inbox: powers.inbox,
      redactor: this.redactor,
      life: session.life,
      session: () => ({ sessionId, sessionName, principal, language, level: this.#entitlements.level }),
      emit: (event) => session.emit(event),
    });
    this.#desk = new CapabilityDesk({
      gate: powers.gate,
      audit: powers.audit,
      monotonicMs: powers.monotonicMs,
      waitPatiently: () => session.waitPatiently(),
      requests: this.#requests,
      begun: (call) => session.life.begun(call),
      committed: () => session.life.commit(),
      assertOwned: () => session.assertOwned(),
      settle: (call, ok, json) => session.settle(call, ok, json),
      log: powers.log,
    });
  }

  get entitlements(): Entitlements {
    return this.#entitlements;
  }

  /** The names of everything granted, and of what the client provides. */
  get names(): readonly string[] {
    return [...this.#entitlements.grants.keys(), ...this.#providedNames];
  }

  /** The functions that run inside the isolate and write to the session's own stream. */
  get outputNames(): readonly string[] {
    const { registry } = this.#powers;
    return [...this.#entitlements.grants.keys()].filter((name) => registry.named(name)?.kind === 'output');
  }

  /** The functions whose calls the daemon answers, as the isolate is told of them. */
  get isolateCapabilities(): Pick<IsolateSpec, 'capabilities' | 'patient' | 'docs'> {
    const effects = [...this.#entitlements.grants.keys(), ...this.#providedNames].flatMap((name) => {
      const effect = this.#effectNamed(name);
      return effect === undefined ? [] : [effect];
    });
    return {
      capabilities: effects.map(({ capability }) => capability.name),
      // A cell's wall clock stands still while a person is asked.
      patient: effects.filter((effect) => this.#isPatient(effect)).map(({ capability }) => capability.name),
      docs: effects.map(({ capability: { name, summary, signature, stub, globals } }) => ({
        name,
        summary,
        signature: this.#session.language === 'python' ? stub : signature,
        globals,
      })),
    };
  }

  get #providedNames(): readonly string[] {
    return this.#entitlements.grantOf('provided') === undefined ? [] : this.provided.names;
  }

  #isPatient({ capability, grantedAs }: Effect): boolean {
    const approval = this.#entitlements.grantOf(grantedAs)?.terms.approval ?? 'never';
    return capability.patient || approval !== 'never';
  }

  describe(): readonly CapabilityInfo[] {
    const { registry, policy } = this.#powers;
    const provided = this.#providedNames.flatMap((name) => this.provided.named(name) ?? []);
    return [...registry.all, ...provided].map(({ name, summary, signature, stub, globals }) => {
      const grantedAs = registry.named(name) === undefined ? 'provided' : name;
      const grant: Grant | undefined = this.#entitlements.grantOf(grantedAs);
      return {
        name,
        summary,
        signature,
        stub,
        globals,
        granted: grant !== undefined,
        lowestLevel: lowestLevelGranting(policy(), grantedAs),
        approval: grant?.terms.approval ?? null,
      };
    });
  }

  /** Words the denial of a name that is a capability this session has not, and notes it; undefined for any other name. */
  denialOf(global: string, executionId: string): Fault | undefined {
    const capability = this.#powers.registry.ofGlobal(global);
    if (capability === undefined || this.#entitlements.grantOf(capability) !== undefined) return undefined;
    return this.noteDenial(capability, executionId);
  }

  /** Notes what was refused inside the isolate, where code can catch it, and words it. */
  noteDenial(capability: string, executionId: string | null): Fault {
    const { policy, gate } = this.#powers;
    const fault = denied(policy(), this.#entitlements.level, capability);
    if (this.#denials.isFirst(capability, executionId)) gate.noteMissing(this.#caller(executionId), capability, fault);
    return fault;
  }

  /** @param changed called once the session has the function, before it is described */
  provide(offer: ProvidedOffer, provider: Provider, changed: () => void): CapabilityInfo {
    const { policy, audit, registry } = this.#powers;
    const { level, grants } = this.#entitlements;
    const grant = grants.get('provided');
    if (grant === undefined) throw denied(policy(), level, 'provided');
    const { countMax } = grant.constraints as ConstraintsOf<'provided'>;
    const isTaken = (name: string): boolean => registry.ofGlobal(name) !== undefined;
    const { name } = this.provided.provide(offer, provider, { countMax, isTaken });
    const { sessionId, principal } = this.#session;
    audit.note('capability.provided', { sessionId, principal, capability: name });
    changed();
    return this.describe().find((capability) => capability.name === name) as CapabilityInfo;
  }

  withdrawProvided(name: string, changed: () => void): void {
    if (!this.provided.withdraw(name)) return;
    this.#powers.audit.note('capability.unprovided', {
      sessionId: this.#session.sessionId,
      capability: name,
      reason: 'its client has withdrawn it',
    });
    changed();
  }

  // --- calls ---------------------------------------------------------------------------------------------------------

  /** @param made the call, and how far it came before; one that is under way already goes on as it is */
  handle(made: RebuiltCall): void {
    const { record } = made;
    if (!this.#session.life.opened(record)) return;
    const life = this.#life;
    const effect = this.#effectNamed(record.name);
    const open: OpenCall = {
      record,
      patient: effect !== undefined && this.#isPatient(effect),
      executionId: record.executionId,
      grantedAs: effect?.grantedAs,
      ending: new AbortController(),
    };
    life.calls.add(open);
    const caller = this.#callerOf(made);
    const context = this.#context(made, open.ending.signal, life.handles);
    void this.#desk.handle(made, caller, context).finally(() => life.calls.delete(open));
  }

  #callerOf({ record, letThrough }: RebuiltCall): CallerSession {
    const { life } = this.#session;
    const usage = this.#usage.ofCall(letThrough, (used) => life.used(used[1] === 0 ? undefined : record, used));
    return { ...this.#caller(record.executionId), usage };
  }

  #caller(executionId: string | null): CallerSession {
    return {
      sessionId: this.#session.sessionId,
      entitlements: this.#entitlements,
      usage: this.#usage,
      redactor: this.redactor,
      executionId,
      effectNamed: (name) => this.#effectNamed(name),
      approvedOnce: this.#approvedOnce,
    };
  }

  #effectNamed(name: string): Effect | undefined {
    const capability = this.#powers.registry.effectNamed(name);
    if (capability !== undefined) return { capability, grantedAs: name };
    const provided = this.provided.named(name);
    return provided && { capability: provided, grantedAs: 'provided' };
  }

  #context(made: RebuiltCall, signal: AbortSignal, handles: Handles): CallContext {
    const { key, atMs } = made.record;
    return {
      sessionId: this.#session.sessionId,
      callKey: key,
      madeAtMs: atMs,
      signal,
      handles,
      redactor: this.redactor,
      requestInput: (prompt, waitMs) => this.#session.requestInput(made, this.redactor.redact(prompt), waitMs, signal),
      requestDecision: (request) => this.#requests.forGuest(request, made, signal),
    };
  }

  /** Resolves when an administrator has agreed to a higher level; fails with APPROVAL_DENIED. */
  askForLevel(raise: StoredRaise, signal: AbortSignal, again: boolean): Promise<void> {
    return this.#requests.forLevel(raise, signal, again);
  }

  // --- changes -------------------------------------------------------------------------------------------------------

  /** The session is at another level from now on. */
  moveTo(entitlements: Entitlements): void {
    this.#entitlements = entitlements;
    this.#told = new Set(this.names);
    this.#approvedOnce.clear();
  }

  /** Tells whoever watches what was given and taken away since they were told last, and ends the calls of what was taken away. */
  announce(reason: string): void {
    const { sessionId } = this.#session;
    const now = new Set(this.names);
    const injected = [...now].filter((name) => !this.#told.has(name));
    const withdrawn = [...this.#told].filter((name) => !now.has(name));
    this.#told = now;
    const { audit } = this.#powers;
    if (injected.length > 0) audit.note('capability.injected', { sessionId, capabilities: injected, reason });
    if (withdrawn.length > 0) audit.note('capability.withdrawn', { sessionId, capabilities: withdrawn, reason });
    this.#endWithdrawn();
    if (injected.length + withdrawn.length > 0)
      this.#session.emit({ kind: 'capabilities.changed', capabilities: [...now] });
  }

  /** Code has made names unusable that were to be given to it: it goes without them. */
  refusedByIsolate(names: readonly string[]): void {
    const { sessionId } = this.#session;
    const reason = 'code of the session has taken the names';
    this.#powers.audit.note('capability.withdrawn', { sessionId, capabilities: names.slice(0, 256), reason });
    const text = `${names.slice(0, 10).join(', ')} could not be given to this session: its code has taken the names.\n`;
    this.#session.emit({ kind: 'log', executionId: null, level: 'warn', text });
  }

  /** Ends what is under way of capabilities that the session has no longer. */
  #endWithdrawn(): void {
    for (const { grantedAs, ending } of this.#life.calls) {
      if (grantedAs !== undefined && this.#entitlements.grantOf(grantedAs) === undefined) ending.abort();
    }
  }

  /** A cell was stopped: what it still waits for, a person above all, is not to happen any more. */
  endCallsOf(executionId: string): void {
    for (const call of this.#life.calls) if (call.executionId === executionId) call.ending.abort();
  }

  /** Ends the calls whose outcome nobody waits for any more. */
  endForgotten(): void {
    for (const { record, ending } of this.#life.calls) if (!this.#session.life.waitsFor(record)) ending.abort();
  }

  /** Whether nothing is under way, and nothing is held that only this daemon has. */
  get atRest(): boolean {
    const { calls, handles } = this.#life;
    return calls.size === 0 && handles.size === 0 && this.#providedNames.length === 0;
  }

  /** Whether all calls that are under way wait for a person or a timer. */
  get onlyPatient(): boolean {
    for (const { patient } of this.#life.calls) if (!patient) return false;
    return this.#life.handles.size === 0;
  }

  /** The isolate is gone, and with it everything that it held. */
  isolateGone(): void {
    const { handles, calls } = this.#life;
    this.#life = newLife();
    for (const { ending } of calls) ending.abort();
    handles.disposeAll();
  }

  /** Calls that are under way. */
  get openCalls(): number {
    return this.#life.calls.size;
  }

  /** What outlives an isolate. */
  get kept(): KeptOverLives {
    return { used: this.#usage.totals, once: [...this.#approvedOnce], secrets: this.redactor.values };
  }

  /** What an earlier daemon knew of the session. */
  restore({ used, once, secrets }: KeptOverLives): void {
    this.#usage.restore(used);
    for (const capability of once) this.#approvedOnce.add(capability);
    this.redactor.restore(secrets);
  }
}

function newLife(): IsolateLife {
  return { handles: new Handles(), calls: new Set() };
}
