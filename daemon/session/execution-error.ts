/** How failures that are not the guest's own errors look in a result. */
import type { ExecutionError, FaultCode } from '../../client/protocol.ts';
import { Fault } from '../fault.ts';

/** The `name` a program or a person sees; codes without one of their own are told by their code. */
const NAMES: Partial<Record<FaultCode, string>> = {
  APPROVAL_DENIED: 'ApprovalDenied',
  BUDGET_EXCEEDED: 'BudgetExceeded',
  BUSY: 'Busy',
  CAPABILITY_DENIED: 'CapabilityDenied',
  CONFLICT: 'Conflict',
  CPU_EXCEEDED: 'CpuExceeded',
  EFFECT_FAILED: 'EffectFailed',
  HOST_CRASHED: 'HostCrashed',
  INTERRUPTED: 'Interrupted',
  INVALID_PARAMS: 'InvalidArguments',
  MEMORY_EXCEEDED: 'MemoryExceeded',
  RATE_LIMITED: 'RateLimited',
  SESSION_CLOSED: 'SessionClosed',
  SESSION_LOST: 'SessionLost',
  TIMED_OUT: 'Timeout',
  TOO_LARGE: 'TooLarge',
  UNAVAILABLE: 'Unavailable',
};

export function plainError(code: FaultCode, message: string, details?: ExecutionError['details']): ExecutionError {
  return {
    code,
    name: NAMES[code] ?? 'DaemonError',
    message,
    stack: '',
    ...(details === undefined ? {} : { details }),
  };
}

/** Whatever was thrown while something was done for a guest. Only a Fault's words may leave the daemon. */
export function faultError(error: unknown): ExecutionError {
  if (error instanceof Fault) return plainError(error.code, error.message, error.details);
  return plainError('INTERNAL', 'The daemon failed; its log says how.');
}
