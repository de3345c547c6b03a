/** The calls that the audit log tells of, as the policy can be asked about them again. */
import type { AuditRecord, Results } from '../../client/protocol.ts';
import type { PastCall } from '../../policies/explain.ts';
import { isJsonObject, wireArguments } from './wire-arguments.ts';

/** What is read of the audit log. */
export interface AuditQuery {
  readonly kind: 'capability.decision';
  readonly since?: string;
  readonly sessionId?: string;
  readonly verdict?: 'allow' | 'deny' | 'ask';
  readonly limit: number;
  readonly cursor?: string;
}

type Page = Results['audit.query'];

export interface AuditReader {
  /** Newest first. */
  query(query: AuditQuery): Page | Promise<Page>;
}

export interface RecordedCall extends PastCall {
  readonly seq: number;
  readonly at: string;
}

const PAGE = 1000;
/** More would keep the daemon from its sessions for longer than an answer is worth. */
export const CALLS_MAX = 10_000;
/** A page may be nearly empty, where little of a long log is asked for. */
const PAGES_MAX = 200;

/** The last calls that were decided by a rule of the policy, newest first; at most `CALLS_MAX` records are looked at. */
export async function recordedCalls(
  audit: AuditReader,
  filter: Pick<AuditQuery, 'since' | 'sessionId' | 'verdict'>,
): Promise<readonly RecordedCall[]> {
  const calls: RecordedCall[] = [];
  let looked = 0;
  let page: Page = { records: [], cursor: null };
  for (let pages = 0; pages < PAGES_MAX && looked < CALLS_MAX && (pages === 0 || page.cursor !== null); pages++) {
    const more = page.cursor === null ? {} : { cursor: page.cursor };
    page = await audit.query({
      kind: 'capability.decision',
      ...filter,
      limit: Math.min(PAGE, CALLS_MAX - looked),
      ...more,
    });
    looked += page.records.length;
    calls.push(...page.records.map(callOf).filter((call) => call !== null));
  }
  return calls;
}

/** null for what no rule decided: a rate, a budget, wrong arguments, a person; and for what only goes on with an earlier call. */
function callOf({ seq, at, fields }: AuditRecord): RecordedCall | null {
  const { level, capability, verdict, code, approvalId, args } = fields;
  if (typeof level !== 'string' || typeof capability !== 'string') return null;
  if (verdict !== 'allow' && verdict !== 'deny' && verdict !== 'ask') return null;
  if (approvalId !== undefined && approvalId !== null) return null;
  if (verdict === 'deny' && code !== undefined && code !== 'CAPABILITY_DENIED') return null;
  if (isJsonObject(args) && typeof args['operation'] === 'string' && args['operation'] !== 'open') return null;
  return { seq, at, level, capability, args: wireArguments(capability, args), verdict };
}
