import type { FaultCode } from '../../client/protocol.ts';
import type { IsolateLoss } from '../hosts/host-pool.ts';
import type { Execution } from './execution.ts';

/** What the end of an isolate means. A cell that had to be ended with its host broke a limit; one whose host just died brought it down. */
export function lossCode(
  loss: IsolateLoss,
  execution: Execution | undefined,
  usedMs: (execution: Execution) => number,
): FaultCode {
  if (loss.by === 'memory') return 'MEMORY_EXCEEDED';
  if (loss.by === 'breach' && loss.culprit) return 'SECURITY_VIOLATION';
  if (!loss.culprit || execution === undefined) return 'SESSION_LOST';
  if (loss.by === 'host') return 'HOST_CRASHED';
  return usedMs(execution) >= execution.wallMs ? 'TIMED_OUT' : 'CPU_EXCEEDED';
}
