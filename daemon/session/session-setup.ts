/** What a session is made with, and what of it a later daemon makes it of again. */
import type { Language, SessionInfo } from '../../client/protocol.ts';
import type { StoredRaise, StoredSession } from '../durability/journal-records.ts';
import type { SessionJournal } from '../durability/session-journal.ts';
import type { EventQueue } from '../transport/event-queue.ts';
import type { Principal } from '../transport/principal.ts';
import { type Narrowing, publicLimits, type SessionGrant } from './session-grant.ts';

/** Whether the session is this daemon's. */
export interface HeldSession {
  /** Fails with UNAVAILABLE where it may be another's by now. */
  assertHeld(): void;
}

export interface SessionSetup {
  readonly sessionId: string;
  readonly principal: Principal;
  readonly name: string | null;
  readonly language: Language;
  readonly labels: Readonly<Record<string, string>>;
  /** The command line that it stands for; null where it has none. */
  readonly argv: readonly string[] | null;
  readonly grant: SessionGrant;
  readonly asked: Narrowing;
  readonly events: EventQueue;
  readonly journal: SessionJournal;
  readonly createdAt: string;
  readonly ownership: HeldSession;
}

export function storedSession(
  setup: Omit<SessionSetup, 'events' | 'journal' | 'ownership'>,
  { info = null, raises = [] }: { readonly info?: SessionInfo | null; readonly raises?: readonly StoredRaise[] } = {},
): StoredSession {
  const { sessionId, principal, name, language, labels, argv, createdAt, grant, asked } = setup;
  const { limits, capabilities = null } = asked;
  const { level, grants } = grant;
  return {
    ...{ sessionId, principal, name, language, labels, createdAt, level },
    ...(argv === null ? {} : { argv }),
    asked: { limits, capabilities },
    grants: [...grants],
    info,
    raises,
  };
}

/** What clients are told of a session. */
export function sessionInfo(
  { sessionId, name, language, labels, createdAt, grant: { level, limits } }: SessionSetup,
  now: Pick<SessionInfo, 'state' | 'cells' | 'queued' | 'seq' | 'capabilities'>,
): SessionInfo {
  return { sessionId, name, language, level, createdAt, ...now, limits: publicLimits(limits), labels };
}
