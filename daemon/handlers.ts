/** What every method of the protocol does: finds the session, asks the policy, answers. */
import type { DaemonStats } from '../client/protocol.ts';
import { FRAME_BYTES_MAX, LANGUAGES, PROTOCOL_VERSION } from '../client/protocol.ts';
import { isAtMost, levelOf } from '../policies/evaluate.ts';
import { type Ceilings, LEVELS, type Policy } from '../policies/policy.ts';
import type { Audit } from './audit/audit-log.ts';
import { Fault } from './fault.ts';
import type { Session } from './session/session.ts';
import type { SessionRegistry } from './session/session-registry.ts';
import type { Caller } from './transport/caller.ts';
import { AnswerThen, type Handlers } from './transport/handlers.ts';
import type { UpkeepMethod } from './upkeep-handlers.ts';

export interface HandlerParts {
  readonly version: string;
  readonly sessions: SessionRegistry;
  readonly audit: Audit;
  readonly policy: () => Policy;
  readonly ceilings: () => Ceilings;
  readonly stats: () => DaemonStats;
}

const DEFAULT_LEVEL = LEVELS[0];

/** Those that administrators call have their places with what they administer. */
type Administration = Pick<Handlers, UpkeepMethod> & Of<'approval'> & Of<'policy'> & Of<'audit'>;

export function makeHandlers(parts: HandlerParts, administration: Administration): Handlers {
  return {
    ...daemonHandlers(parts),
    ...sessionHandlers(parts),
    ...executionHandlers(parts),
    ...namespaceHandlers(parts),
    ...checkpointHandlers(parts),
    ...capabilityHandlers(parts),
    ...administration,
  };
}

type Of<Prefix extends string> = Pick<Handlers, Extract<keyof Handlers, `${Prefix}.${string}`>>;
type ExecutionMethod =
  | 'session.interrupt'
  | 'session.execute'
  | 'session.complete'
  | 'session.inspect'
  | 'session.isComplete';

function daemonHandlers({ version, policy, ceilings, stats }: HandlerParts): Omit<Of<'daemon'>, UpkeepMethod> {
  return {
    'daemon.hello': ({ token }, caller) => ({
      protocol: PROTOCOL_VERSION,
      version,
      nodeVersion: process.versions.node,
      v8Version: process.versions.v8,
      role: caller.role,
      token: caller.hello(token),
      levels: [...policy().levels.keys()],
      levelCeiling: ceilings()[caller.role],
      defaultLevel: DEFAULT_LEVEL,
      languages: LANGUAGES,
      limits: {
        frameBytesMax: FRAME_BYTES_MAX,
        sourceBytesMax: levelOf(policy(), ceilings()[caller.role]).limits.sourceBytesMax,
      },
    }),
    'daemon.stats': () => stats(),
  };
}

function sessionHandlers(parts: HandlerParts): Omit<Of<'session'>, ExecutionMethod> {
  const { sessions } = parts;
  return {
    'session.create': async (params, caller) => {
      const { language = 'javascript', level, name, limits, capabilities, labels = {}, argv = null } = params;
      const session = await sessions.create(caller.principal, {
        language,
        level: sessions.levelFor(level ?? DEFAULT_LEVEL, caller),
        name: name ?? null,
        ...{ labels, argv },
        asked: { limits: definedOnly(limits ?? {}), capabilities },
      });
      const subscription = session.events.subscribe(caller.events, 0);
      return new AnswerThen(session.info(), () => subscription.start());
    },
    'session.attach': async ({ sessionId, afterSeq }, caller) => {
      await sessions.reach(sessionId, caller);
      const session = sessions.find(sessionId, caller);
      const subscription = session.events.subscribe(caller.events, afterSeq);
      return new AnswerThen(session.info(), () => subscription.start());
    },
    'session.detach': ({ sessionId }, caller) => {
      sessions.findToLeave(sessionId, caller).events.unsubscribe(caller.events);
      return {};
    },
    'session.list': (_, caller) => ({ sessions: sessions.list(caller) }),
    'session.show': ({ sessionId }, caller) => sessions.find(sessionId, caller).info(),
    'session.setLevel': async ({ sessionId, level: asked }, caller) => {
      const session = sessions.findToLeave(sessionId, caller);
      const level = sessions.levelFor(asked, caller);
      if (!isAtMost(parts.policy(), level, session.level) && !mayRaise(session, caller))
        await session.askForLevel(level, caller);
      else sessions.moveToLevel(session, level, caller.principal);
      await session.committed();
      return session.info();
    },
    'session.reset': async ({ sessionId }, caller) => {
      const session = sessions.find(sessionId, caller);
      session.reset();
      await session.committed();
      return session.info();
    },
    'session.hibernate': async ({ sessionId }, caller) => ({
      hibernated: await sessions.hibernate(sessions.find(sessionId, caller)),
    }),
    'session.close': async ({ sessionId }, caller) => {
      const session = sessions.findToLeave(sessionId, caller);
      await sessions.close(session, 'its client closed it');
      return {};
    },
  };
}

function executionHandlers({ sessions }: HandlerParts): Pick<Handlers, ExecutionMethod> {
  return {
    'session.interrupt': async ({ sessionId, executionId }, caller) => {
      const session = sessions.find(sessionId, caller);
      const interrupted = session.interrupt(executionId);
      await session.committed();
      return { interrupted };
    },
    'session.execute': ({ sessionId, source, executionId, timeoutMs, rollbackOnError }, caller) =>
      sessions.find(sessionId, caller).execute(source, { executionId, timeoutMs, rollback: rollbackOnError }),
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

function checkpointHandlers({ sessions }: HandlerParts): Of<'checkpoint'> {
  return {
    'checkpoint.create': ({ sessionId, name }, caller) => sessions.find(sessionId, caller).checkpoints.create(name),
    'checkpoint.list': ({ sessionId }, caller) => ({
      checkpoints: sessions.find(sessionId, caller).checkpoints.list(),
    }),
    'checkpoint.restore': async ({ sessionId, name }, caller) => {
      const session = sessions.find(sessionId, caller);
      await session.checkpoints.restore(name);
      return session.info();
    },
  };
}

function capabilityHandlers({ sessions }: HandlerParts): Of<'capability'> & Of<'input'> {
  return {
    'capability.list': ({ sessionId }, caller) => ({ capabilities: sessions.find(sessionId, caller).capabilities }),
    'capability.provide': ({ sessionId, ...offer }, caller) => {
      const session = sessions.find(sessionId, caller);
      return session.provide(offer, {
        invoke: async (callId, name, args, signal) => {
          // Arguments are what the session knows: they do not go to whoever may not follow it any more.
          if (!sessions.isWithinCeiling(session, caller)) throw unreachable();
          return caller.ask('capability.invoke', { sessionId, callId, name, args }, signal);
        },
      });
    },
    'capability.withdraw': ({ sessionId, name }, caller) => {
      sessions.findToLeave(sessionId, caller).withdraw(name);
      return {};
    },
    'input.answer': async ({ sessionId, requestId, text }, caller) => {
      await sessions.find(sessionId, caller).answerInput(requestId, text);
      return {};
    },
  };
}

function unreachable(): Fault {
  const message = 'The client that provides this may not use the session any more: it is above its ceiling.';
  return new Fault('EFFECT_FAILED', message, { reason: 'unreachable' });
}

/** A session goes up when an administrator says so who is not the one that profits. */
function mayRaise(session: Session, caller: Caller): boolean {
  return caller.role === 'admin' && caller.principal !== session.principal;
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function definedOnly<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}
