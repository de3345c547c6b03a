/** What every method of the protocol does: finds the session, asks the policy, answers. */
import type { DaemonStats, Role } from '../client/protocol.ts';
import { FRAME_BYTES_MAX, LANGUAGES, PROTOCOL_VERSION } from '../client/protocol.ts';
import { compareLevels, decide, isAtMost, levelFromName, levelOf, lowestLevelGranting } from '../policies/evaluate.ts';
import { LEVELS, type LevelName, type Policy } from '../policies/policy.ts';
import type { Audit } from './audit/audit-log.ts';
import { CAPABILITIES } from './capabilities/registry.ts';
import { Fault } from './fault.ts';
import type { SessionRegistry } from './session/session-registry.ts';
import type { Caller } from './transport/caller.ts';
import { AnswerThen, type Handlers } from './transport/handlers.ts';

export interface HandlerParts {
  readonly version: string;
  readonly sessions: SessionRegistry;
  readonly audit: Audit;
  readonly policy: () => Policy;
  readonly ceilings: Readonly<Record<Role, LevelName>>;
  readonly stats: () => DaemonStats;
}

const DEFAULT_LEVEL = LEVELS[0];

export function makeHandlers(parts: HandlerParts): Handlers {
  return {
    ...daemonHandlers(parts),
    ...sessionHandlers(parts),
    ...executionHandlers(parts),
    ...namespaceHandlers(parts),
    ...capabilityHandlers(parts),
  };
}

type Of<Prefix extends string> = Pick<Handlers, Extract<keyof Handlers, `${Prefix}.${string}`>>;
type ExecutionMethod =
  | 'session.interrupt'
  | 'session.execute'
  | 'session.complete'
  | 'session.inspect'
  | 'session.isComplete';

function daemonHandlers({ version, policy, ceilings, stats }: HandlerParts): Of<'daemon'> {
  return {
    'daemon.hello': ({ token }, caller) => ({
      protocol: PROTOCOL_VERSION,
      version,
      nodeVersion: process.versions.node,
      v8Version: process.versions.v8,
      role: caller.role,
      token: caller.hello(token),
      levels: LEVELS,
      levelCeiling: ceilings[caller.role],
      defaultLevel: DEFAULT_LEVEL,
      languages: LANGUAGES,
      limits: {
        frameBytesMax: FRAME_BYTES_MAX,
        sourceBytesMax: levelOf(policy(), ceilings[caller.role]).limits.sourceBytesMax,
      },
    }),
    'daemon.stats': () => stats(),
  };
}

function sessionHandlers(parts: HandlerParts): Omit<Of<'session'>, ExecutionMethod> {
  const { sessions } = parts;
  return {
    'session.create': ({ language = 'javascript', level, name, limits, capabilities, labels = {} }, caller) => {
      const session = sessions.create(caller.principal, {
        language,
        level: levelFor(parts, level, caller),
        name: name ?? null,
        labels,
        asked: { limits: definedOnly(limits ?? {}), capabilities },
      });
      const subscription = session.events.subscribe(caller.events);
      return new AnswerThen(session.info(), () => subscription.start());
    },
    'session.attach': ({ sessionId, afterSeq }, caller) => {
      const session = sessions.find(sessionId, caller);
      const subscription = session.events.subscribe(caller.events, afterSeq);
      return new AnswerThen(session.info(), () => subscription.start());
    },
    'session.detach': ({ sessionId }, caller) => {
      sessions.find(sessionId, caller).events.unsubscribe(caller.events);
      return {};
    },
    'session.list': (_, caller) => ({ sessions: sessions.list(caller) }),
    'session.show': ({ sessionId }, caller) => sessions.find(sessionId, caller).info(),
    'session.setLevel': ({ sessionId, level: asked }, caller) => {
      const session = sessions.find(sessionId, caller);
      const level = levelFor(parts, asked, caller);
      if (compareLevels(level, session.level) > 0) {
        throw new Fault(
          'LEVEL_DENIED',
          `A session can be moved down only; this one is at level ${session.level}. Create another session at level ${level}.`,
          { level: session.level },
        );
      }
      session.lowerLevel(level);
      return session.info();
    },
    'session.reset': ({ sessionId }, caller) => {
      const session = sessions.find(sessionId, caller);
      session.reset();
      return session.info();
    },
    'session.close': ({ sessionId }, caller) => {
      sessions.close(sessions.find(sessionId, caller), 'its client closed it');
      return {};
    },
  };
}

function executionHandlers({ sessions }: HandlerParts): Pick<Handlers, ExecutionMethod> {
  return {
    'session.interrupt': ({ sessionId, executionId }, caller) => ({
      interrupted: sessions.find(sessionId, caller).interrupt(executionId),
    }),
    'session.execute': ({ sessionId, source, executionId, timeoutMs }, caller) =>
      sessions.find(sessionId, caller).execute(source, executionId, timeoutMs),
    'session.complete': ({ sessionId, source, cursor }, caller) =>
      sessions.find(sessionId, caller).questions.complete(source, cursor),
    'session.inspect': ({ sessionId, source, cursor }, caller) =>
      sessions.find(sessionId, caller).questions.inspect(source, cursor),
    'session.isComplete': ({ sessionId, source }, caller) =>
      sessions.find(sessionId, caller).questions.isComplete(source),
  };
}

function namespaceHandlers({ sessions }: HandlerParts): Of<'namespace'> {
  return {
    'namespace.list': async ({ sessionId }, caller) => ({
      names: await sessions.find(sessionId, caller).questions.listNames(),
    }),
    'namespace.get': async ({ sessionId, name }, caller) => ({
      value: await sessions.find(sessionId, caller).questions.getName(name),
    }),
    'namespace.set': async ({ sessionId, values }, caller) => ({
      set: await sessions.find(sessionId, caller).questions.setNames(values),
    }),
    'namespace.delete': async ({ sessionId, names }, caller) => ({
      deleted: await sessions.find(sessionId, caller).questions.deleteNames(names),
    }),
  };
}

function capabilityHandlers({ sessions, policy }: HandlerParts): Of<'capability'> & Of<'input'> {
  return {
    'capability.list': ({ sessionId }, caller) => {
      const info = sessions.find(sessionId, caller).info();
      const granted = new Set(info.capabilities);
      const level = levelFromName(info.level) ?? DEFAULT_LEVEL;
      return {
        capabilities: CAPABILITIES.map(({ name, summary, signature }) => ({
          name,
          summary,
          signature,
          granted: granted.has(name) && decide(policy(), level, name).verdict === 'allow',
          lowestLevel: lowestLevelGranting(policy(), name),
        })),
      };
    },
    'input.answer': ({ sessionId, requestId, text }, caller) => {
      sessions.find(sessionId, caller).answerInput(requestId, text);
      return {};
    },
  };
}

/** The level asked for, the lowest where none is. Fails with LEVEL_DENIED above the ceiling of the caller's socket. */
function levelFor({ audit, ceilings }: HandlerParts, asked: string | undefined, caller: Caller): LevelName {
  const level = asked === undefined ? DEFAULT_LEVEL : levelFromName(asked);
  if (level === null)
    throw new Fault('INVALID_PARAMS', `There is no level ${JSON.stringify(asked)}; it is one of ${LEVELS.join(', ')}.`);
  const ceiling = ceilings[caller.role];
  if (!isAtMost(level, ceiling)) {
    audit.note('level.denied', { principal: caller.principal, asked: level, ceiling });
    const remedy =
      caller.role === 'client' ? ' Use admin.sock, or start the daemon with a higher --client-ceiling.' : '';
    throw new Fault(
      'LEVEL_DENIED',
      `Level ${level} is above the ceiling of this connection, which is ${ceiling}.${remedy}`,
      { ceiling },
    );
  }
  return level;
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function definedOnly<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}
