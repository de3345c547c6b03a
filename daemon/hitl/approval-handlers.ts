/** The methods with which administrators look at the approval inbox and decide. */
import type { Handlers } from '../transport/handlers.ts';
import type { Inbox } from './inbox.ts';

type ApprovalMethod = Extract<keyof Handlers, `approval.${string}`>;

export interface ApprovalPowers {
  /** Resolves once everything is in the inbox that was in that of an earlier daemon. */
  readonly restored: () => Promise<void>;
  /** Resolves once what has happened so far is in the journal. */
  readonly committed: () => Promise<void>;
}

export function approvalHandlers(
  inbox: Inbox,
  { restored, committed }: ApprovalPowers,
): Pick<Handlers, ApprovalMethod> {
  return {
    'approval.list': async ({ status = 'pending', afterChange, waitMs = 0 }, caller) => {
      await restored();
      if (afterChange === undefined) return inbox.list(status);
      const { change, approvals } = await inbox.changes(afterChange, waitMs, caller.signal);
      const wanted = approvals.filter(
        (info) => status === 'all' || (info.status === 'pending') === (status === 'pending'),
      );
      return { change, approvals: wanted };
    },
    'approval.show': async ({ approvalId }) => {
      await restored();
      return inbox.get(approvalId);
    },
    'approval.settle': async (verdict, caller) => {
      await restored();
      const info = inbox.settle(verdict, { principal: caller.principal, role: caller.role });
      await committed();
      return info;
    },
  };
}
