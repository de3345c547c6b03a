// A process that records until it is refused, started with a limit on the size of its files, which is as good as a full disk.
import { AuditLog } from '../../../daemon/audit/audit-log.ts';
import { Fault } from '../../../daemon/fault.ts';

const [folder = ''] = process.argv.slice(2);
const complaints: string[] = [];
const log = AuditLog.open(folder, () => 0, { log: (line) => complaints.push(line) });
const refusals: string[] = [];
while (refusals.length < 3) {
  try {
    log.append('session.closed', { sessionId: 'ses_1', reason: 'x'.repeat(500) });
    log.append('policy.applied', { hash: 'h', previousHash: null, by: 'admin', changes: [] });
  } catch (error) {
    refusals.push(error instanceof Fault ? `${error.code} ${error.message}` : String(error));
  }
}
// As a crash would: nothing is closed.
process.stdout.write(JSON.stringify({ refusals, complaints }), () => process.kill(process.pid, 'SIGKILL'));
