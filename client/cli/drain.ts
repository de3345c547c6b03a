import { setTimeout as pause } from 'node:timers/promises';
import type { CliContext } from './cli-context.ts';
import { EXIT } from './cli-error.ts';
import { reachDaemon } from './reach-daemon.ts';

const GONE_MS_MAX = 10_000;
const LOOK_MS = 20;

export interface DrainOptions {
  readonly stateDir?: string;
  readonly json?: boolean;
  readonly drainMs?: number;
}

/** `pyrepl3 drain`: the daemon takes nothing new and ends; the command ends when it has. */
export async function drain(context: CliContext, { stateDir, json, drainMs }: DrainOptions): Promise<number> {
  await using reached = await reachDaemon(context, { stateDir, role: 'admin', otherwise: 'fail', reconnect: false });
  const { client } = reached;
  const { pid } = await client.call('daemon.stats', {});
  const ended = new Promise<void>((resolve) => client.on('closed', () => resolve()));
  const answer = await client.call('daemon.drain', drainMs === undefined ? {} : { graceMs: drainMs });
  const { busy, graceMs } = answer;
  if (!json)
    context.out.write(`draining: ${busy} sessions are in the middle of something, for ${graceMs} ms at most\n`);
  await ended;
  await untilGone(pid);
  context.out.write(json ? `${JSON.stringify(answer)}\n` : 'the daemon has ended\n');
  return EXIT.ok;
}

/** The sockets are the first to go; once the process is gone as well, another daemon can take its place. */
async function untilGone(pid: number): Promise<void> {
  for (let waitedMs = 0; waitedMs < GONE_MS_MAX && exists(pid); waitedMs += LOOK_MS) await pause(LOOK_MS);
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
