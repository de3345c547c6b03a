import { resolve } from 'node:path';
import { plainText } from '../terminal/terminal-filter.ts';
import type { CliContext } from './cli-context.ts';
import { EXIT } from './cli-error.ts';
import { reachDaemon } from './reach-daemon.ts';

export interface BackupOptions {
  readonly stateDir?: string;
  readonly json?: boolean;
}

/** `pyrepl3 backup FILE`: has the daemon copy what it keeps of its sessions, and goes on only once that is on the disk. */
export async function backup(context: CliContext, file: string, options: BackupOptions): Promise<number> {
  await using reached = await reachDaemon(context, { stateDir: options.stateDir, role: 'admin', otherwise: 'fail' });
  const answer = await reached.client.call('daemon.backup', { file: resolve(file) });
  const text = `${answer.file}: ${(answer.bytes / 2 ** 20).toFixed(1)} MiB`;
  context.out.write(`${options.json ? JSON.stringify(answer) : plainText(text)}\n`);
  return EXIT.ok;
}
