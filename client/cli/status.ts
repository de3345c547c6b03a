import type { DaemonStats } from '../protocol.ts';
import { renderTable } from '../terminal/render.ts';
import type { CliContext } from './cli-context.ts';
import { EXIT } from './cli-error.ts';
import { reachDaemon } from './reach-daemon.ts';

export interface StatusOptions {
  readonly stateDir?: string;
  readonly json?: boolean;
}

/** `pyrepl3 status`: how the daemon is. */
export async function status(context: CliContext, options: StatusOptions): Promise<number> {
  await using reached = await reachDaemon(context, { stateDir: options.stateDir, role: 'admin', otherwise: 'fail' });
  const stats = await reached.client.call('daemon.stats', {});
  context.out.write(`${options.json ? JSON.stringify(stats) : describe(stats, reached.stateDir)}\n`);
  return EXIT.ok;
}

function describe(stats: DaemonStats, stateDir: string): string {
  const facts = renderTable([
    ['daemon', `${stats.version}, pid ${stats.pid}, Node ${stats.nodeVersion}, V8 ${stats.v8Version}`],
    ['state', stateDir],
    [
      'up',
      `${Math.round(stats.uptimeMs / 1000)} s${stats.draining ? ', draining: it takes nothing new and ends soon' : ''}`,
    ],
    ['memory', mebibytes(stats.rssBytes)],
    ['connections', String(stats.connections)],
    ['sessions', `${stats.sessions}, ${stats.running} running`],
    ['executions', String(stats.executions)],
  ]);
  const hosts = stats.hosts.map((host) => [
    String(host.pid),
    host.cordon ?? '(spare)',
    String(host.isolates),
    mebibytes(host.rssBytes),
  ]);
  return `${facts}\n\n${renderTable([['HOST', 'CORDON', 'ISOLATES', 'MEMORY'], ...hosts])}`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
