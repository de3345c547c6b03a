import { Fault } from '../../../daemon/fault.ts';
import type { InboxRequest } from '../../../daemon/hitl/approval-request.ts';
import type { HitlLimits } from '../../../daemon/hitl/hitl-limits.ts';
import { Inbox, type Settlement } from '../../../daemon/hitl/inbox.ts';
import { FakeTime } from './_fake-time.ts';

export const ADMIN = { principal: 'admin', role: 'admin' } as const;

interface AuditedRecord {
  readonly kind: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface Fixture {
  readonly inbox: Inbox;
  readonly time: FakeTime;
  readonly records: AuditedRecord[];
  /** While it is true nothing can be recorded beforehand. */
  readonly auditFails: { yes: boolean };
  ask(changes?: Partial<InboxRequest>, options?: { waitMs?: number; signal?: AbortSignal }): Asking;
  settle(asking: Asking, decision?: 'approve' | 'deny', by?: { principal: string; role: 'admin' | 'client' }): void;
}

export interface Asking {
  readonly approvalId: string;
  readonly settlement: Promise<Settlement>;
}

export function requestOf(changes: Partial<InboxRequest> = {}): InboxRequest {
  return {
    kind: 'call',
    sessionId: 'ses_1',
    sessionName: 'nightly',
    principal: 'owner',
    level: 'trusted',
    language: 'javascript',
    executionId: 'exe_1',
    position: 'cell:2:1:7',
    capability: 'write_file',
    callKey: null,
    args: ['/workspace/a.txt', { bytes: 3 }],
    argsJson: '["/workspace/a.txt",{"text":"abc"}]',
    standing: false,
    raisesTo: null,
    guest: null,
    ...changes,
  };
}

/** A real inbox over time that a test moves by hand, and an audit log in memory. */
export function makeInbox(limits: Partial<HitlLimits> = {}): Fixture {
  const time = new FakeTime();
  const records: AuditedRecord[] = [];
  const auditFails = { yes: false };
  const note = (kind: string, fields: object): void => void records.push({ kind, fields: { ...fields } });
  const append = (kind: string, fields: object): void => {
    if (auditFails.yes) throw new Fault('UNAVAILABLE', 'The audit log cannot be written.');
    note(kind, fields);
  };
  const inbox = new Inbox({
    ...{ limits, audit: { append, note } },
    ...{ nowMs: time.nowMs, monotonicMs: time.monotonicMs, startTimer: time.startTimer },
  });
  return {
    ...{ inbox, time, records, auditFails },
    ask: (changes, { waitMs = 60_000, signal = new AbortController().signal } = {}) => {
      let approvalId = '';
      const onRequested = (id: string): void => {
        approvalId = id;
      };
      const settlement = inbox.request(requestOf(changes), { waitMs, signal, onRequested });
      return { approvalId, settlement };
    },
    settle: ({ approvalId }, decision = 'approve', by = ADMIN) => {
      const { hash } = inbox.get(approvalId);
      inbox.settle({ approvalId, hash, decision }, by);
    },
  };
}

export function codeOf(act: () => unknown): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    if (error instanceof Fault) return error.code;
    throw error;
  }
}
