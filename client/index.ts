import { Client, type ConnectOptions } from './client.ts';
import { defaultStateDirectory } from './state-directory.ts';

export type { Client, ClientEvents, ConnectOptions } from './client.ts';
export { GuestError, PyreplError } from './errors.ts';
export type { EventGap } from './event-buffer.ts';
export type { ExecuteOptions, Execution, ExecutionEvent } from './execution.ts';
export type { InputHandler, InputRequest } from './input-requests.ts';
export type {
  Blame,
  CapabilityInfo,
  DaemonStats,
  ExecutionError,
  ExecutionResult,
  FaultCode,
  Language,
  MethodName,
  NamespaceEntry,
  Params,
  Results,
  Role,
  SessionEvent,
  SessionInfo,
  SessionLimits,
  Value,
} from './protocol.ts';
export type { JsonSchema, ProvidedHandler, ProvideOptions } from './provided-capabilities.ts';
export type { CallOptions, Namespace, Session } from './session.ts';
export type { ReconnectOptions } from './transport.ts';

/**
 * Connects to a running daemon. Rejects UNAVAILABLE where none listens, or with the signal's reason.
 *
 * The client then keeps itself connected: a lost connection is made again, sessions go on from their last event, and
 * requests that are safe to ask twice are. `await using` it, or call `close`.
 */
export function connect(options: ConnectOptions = {}): Promise<Client> {
  return Client.connect(options, defaultStateDirectory(process.env));
}
