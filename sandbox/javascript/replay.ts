/**
 * Rebuilds a lost isolate: makes the entries of its life again, one after another, each with the time, the entropy and the answers
 * that it had then.
 */
import type { ReplayStep } from '../protocol.ts';
import type { SessionLanguage } from '../session-language.ts';
import type { SessionEntries } from './session-entries.ts';

/** What a replay does to the session; each settles when the entry, and what it ended, are over. */
export interface ReplayedSession {
  readonly language: Pick<SessionLanguage, 'warm'>;
  readonly entries: SessionEntries;
  run(step: Extract<ReplayStep, { op: 'run' }>): void;
  fireTimer(id: number): Promise<void>;
  settle(step: Extract<ReplayStep, { op: 'settle' }>): boolean;
  grant(step: Extract<ReplayStep, { op: 'grant' }>): void;
  ask(step: Extract<ReplayStep, { op: 'ask' }>): void;
  abandon(cell: number): boolean;
  /** Settles when no entry is open; false where a cell is still running then. */
  settled(): Promise<boolean>;
  readReads(reads: string): void;
}

/** Answers what went otherwise than it had gone, or null. */
export async function replay(session: ReplayedSession, steps: readonly ReplayStep[]): Promise<string | null> {
  await session.language.warm();
  for (const step of steps) {
    const idle = await session.settled();
    if (session.entries.torn) return 'code that had come to its end was stopped at a limit';
    if (step.op === 'run' && !idle) return `cell ${step.ref} began when the one before it had not ended`;
    if (step.op !== 'reads') session.entries.give(step, true);
    switch (step.op) {
      case 'run':
        session.run(step);
        break;
      case 'timer':
        void session.fireTimer(step.ref);
        break;
      case 'settle':
        if (!session.settle(step)) return `call ${step.ref} was answered, but was not made`;
        break;
      case 'grant':
        session.grant(step);
        break;
      case 'ask':
        session.ask(step);
        break;
      case 'abandon':
        if (!session.abandon(step.ref)) return `cell ${step.ref} was given up, but was not running`;
        break;
      case 'reads':
        session.readReads(step.reads);
        break;
    }
  }
  await session.settled();
  return null;
}
