import type { SessionInfo } from '../protocol.ts';
import { renderTable } from '../terminal/render.ts';
import { plainText } from '../terminal/terminal-filter.ts';
import type { CliContext } from './cli-context.ts';
import { EXIT } from './cli-error.ts';
import { reachDaemon } from './reach-daemon.ts';

export interface SessionOptions {
  readonly stateDir?: string;
  readonly json?: boolean;
}

export type SessionAct = 'show' | 'close' | 'interrupt';

/** `pyrepl3 session list`: everybody's sessions, which is what the admin socket is for. */
export async function listSessions(context: CliContext, options: SessionOptions): Promise<number> {
  await using reached = await reachDaemon(context, { stateDir: options.stateDir, role: 'admin', otherwise: 'fail' });
  const sessions = await reached.client.listSessions();
  const rows = sessions.map(rowOf);
  const text = rows.length === 0 ? 'there are no sessions' : renderTable([COLUMNS, ...rows]);
  print(context, options, sessions, text);
  return EXIT.ok;
}

/** `pyrepl3 session show|close|interrupt ID`. */
export async function actOnSession(
  context: CliContext,
  act: SessionAct,
  sessionId: string,
  options: SessionOptions,
): Promise<number> {
  await using reached = await reachDaemon(context, { stateDir: options.stateDir, role: 'admin', otherwise: 'fail' });
  const { client } = reached;
  if (act === 'show') {
    const info = await client.call('session.show', { sessionId });
    print(context, options, info, describe(info));
  } else if (act === 'close') {
    await client.call('session.close', { sessionId });
    print(context, options, { sessionId, closed: true }, `${sessionId} is closed`);
  } else {
    const { interrupted } = await client.call('session.interrupt', { sessionId });
    const text = interrupted ? `${sessionId} is interrupted` : `nothing was running in ${sessionId}`;
    print(context, options, { sessionId, interrupted }, text);
  }
  return EXIT.ok;
}

const COLUMNS = ['ID', 'NAME', 'LANGUAGE', 'LEVEL', 'STATE', 'CELLS', 'CREATED'];

function rowOf(info: SessionInfo): string[] {
  const { sessionId, name, language, level, state, cells, createdAt } = info;
  return [sessionId, name ?? '-', language, level, state, String(cells), createdAt];
}

function describe(info: SessionInfo): string {
  const labels = Object.entries(info.labels).map(([name, value]) => `${name}=${value}`);
  const limits = Object.entries(info.limits).map(([name, value]) => `${name}=${value}`);
  return renderTable([
    ...rowOf(info).map((value, column) => [(COLUMNS[column] ?? '').toLowerCase(), value]),
    ['queued', String(info.queued)],
    ['events', String(info.seq)],
    ['capabilities', info.capabilities.join(' ')],
    ['limits', limits.join(' ')],
    ['labels', labels.join(' ')],
  ]);
}

/** One JSON document, or text in which a session's name cannot do anything to the terminal. */
function print(context: CliContext, { json }: SessionOptions, document: unknown, text: string): void {
  context.out.write(`${json ? JSON.stringify(document) : plainText(text)}\n`);
}
