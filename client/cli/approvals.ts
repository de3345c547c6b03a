import { text } from 'node:stream/consumers';
import type { Client } from '../client.ts';
import { PyreplError } from '../errors.ts';
import type { ApprovalInfo } from '../protocol.ts';
import { LineSource } from '../terminal/line-source.ts';
import { renderApproval, renderApprovalLine, renderApprovals } from '../terminal/render-approval.ts';
import { plainText } from '../terminal/terminal-filter.ts';
import type { CliContext } from './cli-context.ts';
import { EXIT, usageError } from './cli-error.ts';
import { type Reached, reachDaemon } from './reach-daemon.ts';

export interface ApprovalsOptions {
  readonly stateDir?: string;
  readonly json?: boolean;
}

export interface ApprovalsListOptions extends ApprovalsOptions {
  readonly status?: 'pending' | 'settled' | 'all';
  readonly watch?: boolean;
}

export interface ApprovalsDecideOptions extends ApprovalsOptions {
  /** Told to the code, and recorded. */
  readonly comment?: string;
  /** Decide without asking. */
  readonly yes?: boolean;
}

export type ApprovalDecision = 'approve' | 'deny';

/** An id is known by its beginning, where no other begins so. */
const ID_CHARS_MIN = 8;
const ID_CHARS = 26;
/** How long the daemon is asked to wait for something new. */
const WATCH_MS = 30_000;

/** `pyrepl3 approvals list [--watch]`: the requests there are, and with `--watch` what becomes of them until Ctrl-C. */
export async function approvalsList(context: CliContext, options: ApprovalsListOptions): Promise<number> {
  await using reached = await reachAdmin(context, options);
  const { client } = reached;
  const { status = 'pending', watch, json } = options;
  const { change, approvals } = await client.call('approval.list', { status });
  if (watch) {
    for (const info of approvals) printLine(context, options, info);
    return await watchApprovals(context, client, change, options);
  }
  print(context, options, approvals, json ? '' : `${renderApprovals(approvals)}\n`);
  return EXIT.ok;
}

/** `pyrepl3 approvals show ID`. */
export async function approvalsShow(context: CliContext, id: string, options: ApprovalsOptions): Promise<number> {
  await using reached = await reachAdmin(context, options);
  const info = await showById(reached.client, id);
  print(context, options, info, renderApproval(info));
  return EXIT.ok;
}

/** `pyrepl3 approvals approve|deny ID`: shows the request, asks, and decides about what was shown. */
export async function approvalsDecide(
  context: CliContext,
  id: string,
  decision: ApprovalDecision,
  options: ApprovalsDecideOptions,
): Promise<number> {
  await using reached = await reachAdmin(context, options);
  return await decide(context, reached.client, id, { decision }, options);
}

/** `pyrepl3 approvals answer ID VALUE`: approves a review with another value, given as JSON, or on stdin as `-`. */
export async function approvalsAnswer(
  context: CliContext,
  id: string,
  valueJson: string,
  options: ApprovalsDecideOptions,
): Promise<number> {
  const fromStdin = valueJson === '-';
  if (fromStdin && !options.yes) throw usageError('with the value on stdin nothing can be asked there: give --yes too');
  const value = parseValue(fromStdin ? await text(context.stdin) : valueJson);
  await using reached = await reachAdmin(context, options);
  return await decide(context, reached.client, id, { decision: 'approve', value }, options);
}

async function decide(
  context: CliContext,
  client: Client,
  id: string,
  verdict: { readonly decision: ApprovalDecision; readonly value?: unknown },
  options: ApprovalsDecideOptions,
): Promise<number> {
  // With --json the document is all that stdout gets.
  const sink = options.json ? context.err : context.out;
  if (!options.yes && !(context.stdin.isTTY && sink.isTerminal)) {
    throw usageError('nobody can be asked here, so --yes is needed: it decides about the request as it is shown now');
  }
  const info = await showById(client, id);
  sink.write(plainText(renderApproval(info)));
  if (info.status === 'pending' && !options.yes && !(await confirm(context, QUESTIONS[verdict.decision]))) {
    context.err.write('nothing is decided; the request goes on waiting\n');
    return EXIT.failed;
  }
  const { approvalId, hash } = info;
  const { comment } = options;
  const settled = await client.call('approval.settle', {
    ...{ approvalId, hash, ...verdict },
    ...(comment !== undefined && { comment }),
  });
  print(context, options, settled, `${approvalId} is ${settled.status}\n`);
  return EXIT.ok;
}

const QUESTIONS: Readonly<Record<ApprovalDecision, string>> = { approve: 'Approve?', deny: 'Deny?' };

/** Anything but a yes is a no. */
async function confirm(context: CliContext, question: string): Promise<boolean> {
  context.err.write(`${question} [y/N] `);
  const lines = new LineSource({ input: context.stdin });
  try {
    const line = await lines.next('');
    return /^y(?:es)?$/i.test((line ?? '').trim());
  } finally {
    lines.close();
  }
}

/** Prints what is new until Ctrl-C, also over a restart of the daemon. */
async function watchApprovals(
  context: CliContext,
  client: Client,
  change: number,
  options: ApprovalsOptions,
): Promise<number> {
  const stop = new AbortController();
  const release = context.onInterrupt(() => stop.abort());
  let afterChange = change;
  try {
    while (!stop.signal.aborted) {
      const params = { status: 'all', afterChange, waitMs: WATCH_MS } as const;
      const answer = await client.call('approval.list', params, { signal: stop.signal });
      for (const info of answer.approvals) printLine(context, options, info);
      afterChange = answer.change;
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    release();
  }
  return EXIT.ok;
}

/** The request of that id, or whose id is the only one to begin so. */
async function showById(client: Client, id: string): Promise<ApprovalInfo> {
  if (id.length < ID_CHARS_MIN) {
    throw usageError(`${JSON.stringify(id)} is too short: give at least ${ID_CHARS_MIN} characters of the id`);
  }
  if (id.length >= ID_CHARS) return await client.call('approval.show', { approvalId: id });
  const { approvals } = await client.call('approval.list', { status: 'all' });
  const matching = approvals.filter(({ approvalId }) => approvalId.startsWith(id));
  const [only] = matching;
  if (only === undefined) {
    throw new PyreplError('UNKNOWN_APPROVAL', `no approval request has an id that begins with ${JSON.stringify(id)}`);
  }
  if (matching.length > 1) {
    const ids = matching.map(({ approvalId }) => approvalId).join(', ');
    throw usageError(`${matching.length} ids begin with ${JSON.stringify(id)}: ${ids}`);
  }
  return await client.call('approval.show', { approvalId: only.approvalId });
}

function parseValue(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw usageError(`the value is not JSON: ${(error as Error).message} (a text needs quotes: '"like this"')`);
  }
}

function reachAdmin(context: CliContext, { stateDir }: ApprovalsOptions): Promise<Reached> {
  return reachDaemon(context, { stateDir, role: 'admin', otherwise: 'fail' });
}

/** One JSON document, or text that cannot do anything to the terminal. */
function print(context: CliContext, { json }: ApprovalsOptions, document: unknown, shown: string): void {
  context.out.write(json ? `${JSON.stringify(document)}\n` : plainText(shown));
}

/** One JSON document a line, or a line of text. */
function printLine(context: CliContext, options: ApprovalsOptions, info: ApprovalInfo): void {
  print(context, options, info, `${renderApprovalLine(info)}\n`);
}
