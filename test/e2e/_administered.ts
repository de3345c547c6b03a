/** A daemon whose policy a test edits, with an administrator beside its client, and what the two can see of each other. */
import type { TestFn } from 'ava';
import type { ApprovalInfo, AuditRecord, FaultCode, Params, SessionEvent } from '../../client/protocol.ts';
import { type RawClient, RpcFault } from '../harness/daemon-process.ts';
import { PolicyFolder } from '../harness/policy-folder.ts';
import { until } from '../harness/processes.ts';
import { FileDaemon, type TestSession } from './_file-daemon.ts';

type Requested = Extract<SessionEvent, { kind: 'approval.requested' }>;

export class AdministeredDaemon extends FileDaemon {
  readonly policy: PolicyFolder;
  #admin: Promise<RawClient> | undefined;

  /**
   * @param prepare edits the shipped policy before the daemon starts
   * @param args of the daemon; as they are, clients may open sessions of every level
   */
  constructor(
    test: TestFn,
    prepare: (policy: PolicyFolder) => void = () => undefined,
    args: readonly string[] = ['--client-ceiling', 'unrestricted'],
  ) {
    const policy = new PolicyFolder();
    prepare(policy);
    super(test, { args: [...args, '--policies', policy.path] });
    this.policy = policy;
    test.after.always(async () => {
      (await this.#admin)?.close();
      policy.remove();
    });
  }

  /** The administrator's connection, the same one each time. */
  get admin(): Promise<RawClient> {
    this.#admin ??= this.daemon.connect('admin');
    return this.#admin;
  }

  /** Edits the files, and settles once the daemon has taken the edit. */
  async edit(change: (policy: PolicyFolder) => void): Promise<void> {
    const admin = await this.admin;
    const { hash } = await admin.call('policy.list', {});
    change(this.policy);
    await until(async () => (await admin.call('policy.list', {})).hash !== hash);
  }

  /** A session that nobody shares a connection with. */
  async ownSession(params: Params<'session.create'> = {}): Promise<TestSession> {
    return this.session(params, await this.daemon.connect());
  }

  /** The newest records of that kind, newest first. */
  async records(kind: string, filter: Params<'audit.query'> = {}): Promise<readonly AuditRecord[]> {
    return (await (await this.admin).call('audit.query', { kind, ...filter })).records;
  }

  /** The newest record of that kind that `matches`, as soon as there is one. */
  async record(kind: string, matches: (fields: AuditRecord['fields']) => boolean): Promise<AuditRecord> {
    let afterSeq = 0;
    for (;;) {
      const found = (await this.records(kind)).find(({ fields }) => matches(fields));
      if (found !== undefined) return found;
      ({ lastSeq: afterSeq } = await (await this.admin).call('audit.tail', { afterSeq, waitMs: 1000 }));
    }
  }

  /** What an administrator is shown of the session's first request, or its first one after those already known. */
  async requestOf(session: TestSession, known: readonly ApprovalInfo[] = []): Promise<ApprovalInfo> {
    const { approvalId } = (await session.event(
      'approval.requested',
      (event) => !known.some((info) => info.approvalId === event.approvalId),
    )) as Requested;
    return (await this.admin).call('approval.show', { approvalId });
  }

  async settle(
    { approvalId, hash }: ApprovalInfo,
    decision: 'approve' | 'deny',
    more: Partial<Params<'approval.settle'>> = {},
  ): Promise<ApprovalInfo> {
    return (await this.admin).call('approval.settle', { approvalId, hash, decision, ...more });
  }
}

/** The code with which the daemon refused; anything but a refusal is thrown. */
export async function refusalOf(attempt: Promise<unknown>): Promise<FaultCode | 'not refused'> {
  try {
    await attempt;
    return 'not refused';
  } catch (error) {
    if (error instanceof RpcFault) return error.code;
    throw error;
  }
}
