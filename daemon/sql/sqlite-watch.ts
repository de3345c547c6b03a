/**
 * The second thread of a process that runs SQLite: it ends the process when the daemon is gone or the memory runs over, which the
 * first thread, busy in a statement, would not notice.
 */
import { workerData } from 'node:worker_threads';
import { SQL_LIMITS } from './sql-limits.ts';

const { daemonPid } = workerData as { daemonPid: number };

setInterval(() => {
  const isOrphan = process.ppid !== daemonPid;
  if (isOrphan || process.memoryUsage.rss() > SQL_LIMITS.processMiBMax * 1024 * 1024)
    process.kill(process.pid, 'SIGKILL');
}, SQL_LIMITS.processWatchMs);
