/** What a session is given: its level, narrowed by what its client asked for. Pure. */
import type { SessionLimits } from '../../client/protocol.ts';
import { effectiveLimits, levelOf, narrowCapabilities } from '../../policies/evaluate.ts';
import type { Limits } from '../../policies/limits.ts';
import type { Grant, LevelName, Policy } from '../../policies/policy.ts';
import type { HostLanguage, IsolateSpec, PackageLock, PlatformSpec } from '../../sandbox/protocol.ts';
import { Fault } from '../fault.ts';
import type { Cordon } from '../hosts/host-pool.ts';
import type { SessionEffects } from './session-effects.ts';
import type { IsolatePlan } from './session-isolate.ts';

export interface SessionGrant {
  readonly level: LevelName;
  readonly limits: Limits;
  readonly grants: ReadonlyMap<string, Grant>;
  /** What the level itself gives, which spare isolates of the cordon are made with. */
  readonly levelIsolate: Pick<Cordon, 'heapMiB' | 'platform' | 'capabilities'>;
}

export interface Narrowing {
  readonly limits: Partial<Limits>;
  readonly capabilities: readonly string[] | undefined;
}

/** Fails with LIMIT_DENIED or CAPABILITY_DENIED, naming each thing that was asked for beyond the level. */
export function grantSession(policy: Policy, level: LevelName, asked: Narrowing): SessionGrant {
  const resolved = levelOf(policy, level);
  const limits = effectiveLimits(resolved, asked.limits);
  if (!limits.ok)
    throw new Fault('LIMIT_DENIED', limits.problems.map((problem) => problem.message).join('; '), {
      problems: limits.problems,
    });
  const capabilities = narrowCapabilities(resolved, asked.capabilities);
  if (!capabilities.ok) {
    throw new Fault('CAPABILITY_DENIED', capabilities.problems.map((problem) => problem.message).join('; '), {
      problems: capabilities.problems,
    });
  }
  return {
    level,
    limits: limits.limits,
    grants: capabilities.grants,
    levelIsolate: {
      heapMiB: resolved.limits.heapMiBMax,
      platform: platformSpec(resolved.grants),
      capabilities: [...resolved.grants.keys()],
    },
  };
}

/** The same session at another level: asked-for limits above the new level's come down to it, capabilities it lacks go. */
export function moveGrant(
  policy: Policy,
  level: LevelName,
  asked: Narrowing,
): { readonly grant: SessionGrant; readonly asked: Narrowing } {
  const resolved = levelOf(policy, level);
  const limits = Object.fromEntries(
    Object.entries(asked.limits).map(([name, value]) => [name, Math.min(value, resolved.limits[name as keyof Limits])]),
  );
  const narrowed = { limits, capabilities: asked.capabilities?.filter((name) => resolved.grants.has(name)) };
  return { grant: grantSession(policy, level, narrowed), asked: narrowed };
}

/** What an isolate of the session is made with now. */
export function isolatePlan(
  { level, limits, levelIsolate }: SessionGrant,
  effects: Pick<SessionEffects, 'entitlements' | 'outputNames' | 'isolateCapabilities'>,
  language: HostLanguage,
  {
    seed,
    argv,
    packages,
  }: Pick<IsolateSpec, 'seed'> & {
    readonly argv: readonly string[] | null;
    readonly packages: readonly PackageLock[];
  },
): IsolatePlan {
  const { grants } = effects.entitlements;
  const spec: IsolateSpec = {
    seed,
    heapMiB: limits.heapMiBMax,
    platform: platformSpec(grants),
    ...(argv === null ? {} : { argv }),
    ...(packages.length === 0 ? {} : { packages }),
    liveRandom: grants.get('random')?.constraints['mode'] === 'live',
    outputs: effects.outputNames,
    ...effects.isolateCapabilities,
    valueBytesMax: limits.valueBytesMax,
    pendingCallsMax: limits.pendingCallsMax,
    timersMax: limits.timersMax,
    backgroundCpuMsMax: limits.cellCpuMsMax,
  };
  return { cordon: { level, language, ...levelIsolate, packages }, spec };
}

function platformSpec(grants: ReadonlyMap<string, Grant>): PlatformSpec {
  return {
    liveClock: grants.get('time')?.constraints['mode'] === 'live',
    webAssembly: grants.has('web_assembly'),
    sharedMemory: grants.has('shared_memory'),
    resizableBuffers: grants.has('resizable_buffers'),
  };
}

export function publicLimits({
  heapMiBMax,
  cellCpuMsMax,
  cellWallMsMax,
  cellOutputBytesMax,
  queueLengthMax,
}: Limits): SessionLimits {
  return { heapMiBMax, cellCpuMsMax, cellWallMsMax, cellOutputBytesMax, queueLengthMax };
}
