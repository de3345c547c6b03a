/** An approval request as text for whoever decides about it: what the daemon knows, and what the code says, kept apart. */
import type { ApprovalInfo, ApprovalKind } from '../protocol.ts';
import { renderTable } from './render.ts';

/** Lines are broken here and not by the terminal, so that no text can put something of its own at the start of a line. */
const COLUMNS_MAX = 72;
const BAR = '  │ ';
const LISTED_TITLE_MAX = 40;

const KINDS: Readonly<Record<ApprovalKind, string>> = {
  call: 'a capability call that needs approval',
  approve: 'a question from the code',
  review: 'a value to review',
  level: 'a raise to a higher level',
  doubt: 'a call that may or may not have been done',
};

const ROWS = ['ID', 'STATUS', 'KIND', 'SESSION', 'LEVEL', 'CAPABILITY', 'DEADLINE', 'TEXT (NOT TRUSTED)'];

/** One request, whole. */
export function renderApproval(info: ApprovalInfo): string {
  const { executionId, position, sessionName, settledBy } = info;
  const facts = renderTable([
    ['approval', info.approvalId],
    ['kind', KINDS[info.kind]],
    ['status', statusOf(info)],
    ['session', sessionName === null ? info.sessionId : `${info.sessionId} (${JSON.stringify(sessionName)})`],
    ['level', info.level],
    ['code', [info.language, position, executionId].filter((part) => part !== null).join(', ')],
    ...(settledBy === null ? [] : [['settled by', settledBy]]),
    ...(info.comment === null ? [] : [['comment', JSON.stringify(info.comment)]]),
  ]);
  return `${[facts, effectOf(info), untrustedOf(info)].filter((part) => part !== '').join('\n\n')}\n`;
}

/** Many requests, one row each. */
export function renderApprovals(approvals: readonly ApprovalInfo[]): string {
  return approvals.length === 0 ? 'there are no approval requests' : renderTable([ROWS, ...approvals.map(rowOf)]);
}

/** One request as a line of its own. */
export function renderApprovalLine(info: ApprovalInfo): string {
  const [approvalId, status, ...rest] = rowOf(info);
  return [status?.padEnd('timed-out'.length), approvalId, ...rest].join('  ');
}

function rowOf({ untrusted, ...info }: ApprovalInfo): string[] {
  const title = untrusted === null ? '-' : `"${cut(untrusted.title)}"`;
  const { approvalId, status, kind, sessionId, level, capability, deadline } = info;
  return [approvalId, status, kind, sessionId, level, capability ?? '-', deadline, title];
}

function cut(text: string): string {
  const characters = [...text];
  return characters.length <= LISTED_TITLE_MAX ? text : `${characters.slice(0, LISTED_TITLE_MAX).join('')}…`;
}

function statusOf({ status, deadline, settledAt }: ApprovalInfo): string {
  return status === 'pending' ? `pending; denied at ${deadline} if nobody decides` : `${status} at ${settledAt}`;
}

/** What follows from an approval, in the daemon's words. */
function effectOf({ kind, capability, args, argsBytes, standing, level, raisesTo }: ApprovalInfo): string {
  const heading = 'What it will do (from the daemon)';
  switch (kind) {
    case 'call': {
      const lines = [`call ${capability ?? '-'} with ${argsBytes} bytes of arguments:`, argumentsOf(args)];
      if (standing) lines.push(`An approval counts for every later ${capability ?? '-'} of this session too.`);
      return section(heading, lines.join('\n'));
    }
    case 'approve':
      return section(heading, 'Nothing by itself: the code is told yes or no, and goes on.');
    case 'review':
      return section(
        heading,
        'Give the value below to the code, as it is;\n"approvals answer" gives it another one instead.',
      );
    case 'doubt':
      return section(
        heading,
        [
          `The daemon was interrupted while ${capability ?? '-'} was being done; whether it was done is not known. Find out, and then`,
          '"approve" does it again, "answer" gives the code a result in its place, "deny" tells the code that it failed (IN_DOUBT).',
          `${argsBytes} bytes of arguments:`,
          argumentsOf(args),
        ].join('\n'),
      );
    case 'level':
      return section(heading, `raise the session from level ${level} to level ${raisesTo ?? '-'}`);
  }
}

function argumentsOf(args: unknown): string {
  return typeof args === 'string' ? args : JSON.stringify(args, null, 2);
}

function untrustedOf({ untrusted }: ApprovalInfo): string {
  if (untrusted === null) return '';
  const text = [untrusted.title, untrusted.details].filter((part) => part !== '').join('\n');
  return section('Text from the code (not trusted)', text === '' ? '(none)' : text);
}

function section(heading: string, text: string): string {
  const lines = text.split('\n').flatMap(wrapped);
  return [heading, ...lines.map((line) => `${BAR}${line}`)].join('\n');
}

/** A line in pieces that fit; what is not ASCII may take two columns. */
function wrapped(line: string): string[] {
  const pieces: string[] = [];
  let piece = '';
  let columns = BAR.length;
  for (const character of line) {
    const width = character <= '~' ? 1 : 2;
    if (columns + width > COLUMNS_MAX) {
      pieces.push(piece);
      piece = '';
      columns = BAR.length;
    }
    piece += character;
    columns += width;
  }
  return [...pieces, piece];
}
