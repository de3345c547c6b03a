import { type Blame, type ExecutionError, type ExecutionResult, FAULTS, type FaultCode } from './protocol.ts';

/**
 * The one failure class of the client: what the daemon refused, what the connection lost, what the client itself would
 * not send. `code` is of the closed set in `docs/errors/`; `details` holds facts a program may act on.
 */
export class PyreplError extends Error {
  override name = 'PyreplError';
  readonly code: FaultCode;
  readonly blame: Blame;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: FaultCode,
    message: string,
    options: { readonly details?: Readonly<Record<string, unknown>> | undefined; readonly cause?: unknown } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.blame = FAULTS[code].blame;
    this.details = options.details ?? {};
  }
}

/**
 * A cell that did not end well, as `Session.run` throws it: `name`, `message` and `stack` are the guest's own (the lines
 * of the user's source, no frame of this process); `result` is everything else that is known of the execution.
 */
export class GuestError extends PyreplError {
  readonly error: ExecutionError;
  readonly result: ExecutionResult;

  constructor(error: ExecutionError, result: ExecutionResult) {
    super(error.code, error.message, { details: error.details, ...(error.cause && { cause: error.cause }) });
    this.name = error.name ?? 'GuestError';
    this.error = error;
    this.result = result;
    this.stack = [`${this.name}: ${error.message}`, ...(error.stack === '' ? [] : [error.stack])].join('\n');
  }
}

/** Reads the error member of a JSON-RPC response, which the other side wrote; what cannot be read becomes INTERNAL. */
export function errorFromResponse(error: unknown): PyreplError {
  const { code: number, message, data } = asRecord(error);
  const { code: named, details } = asRecord(data);
  const code = isFaultCode(named) ? named : codeOfNumber(number);
  const text = typeof message === 'string' ? message : 'the daemon refused the request without saying why';
  return new PyreplError(code, text, { details: asRecord(details) });
}

function codeOfNumber(number: unknown): FaultCode {
  for (const [code, { rpc }] of Object.entries(FAULTS)) if (rpc === number && isFaultCode(code)) return code;
  return 'INTERNAL';
}

function isFaultCode(code: unknown): code is FaultCode {
  return typeof code === 'string' && Object.hasOwn(FAULTS, code);
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
