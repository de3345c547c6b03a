/**
 * The closed set of fault codes. Every refusal and every failure that a client, a guest or an administrator is told of
 * carries one of them; each has a page in `docs/errors/`.
 *
 * `blame` says whose act caused it: the `guest` code, the `client`'s request, the `policy` in force, or the `daemon` itself.
 * `rpc` is the JSON-RPC error number that goes with it; the codes that JSON-RPC 2.0 defines keep their own.
 */
export const FAULTS = {
  PARSE_ERROR: { blame: 'client', rpc: -32700 },
  INVALID_REQUEST: { blame: 'client', rpc: -32600 },
  METHOD_NOT_FOUND: { blame: 'client', rpc: -32601 },
  INVALID_PARAMS: { blame: 'client', rpc: -32602 },
  INTERNAL: { blame: 'daemon', rpc: -32603 },
  UNKNOWN_SESSION: { blame: 'client', rpc: -32001 },
  BUSY: { blame: 'client', rpc: -32002 },
  TOO_LARGE: { blame: 'client', rpc: -32003 },
  ROLE_DENIED: { blame: 'policy', rpc: -32004 },
  LEVEL_DENIED: { blame: 'policy', rpc: -32005 },
  LIMIT_DENIED: { blame: 'policy', rpc: -32006 },
  CAPABILITY_DENIED: { blame: 'policy', rpc: -32007 },
  EXECUTION_CONFLICT: { blame: 'client', rpc: -32008 },
  EVENTS_GONE: { blame: 'client', rpc: -32009 },
  UNKNOWN_INPUT: { blame: 'client', rpc: -32010 },
  SLOW_READER: { blame: 'client', rpc: -32011 },
  UNAVAILABLE: { blame: 'daemon', rpc: -32012 },
  SESSION_CLOSED: { blame: 'client', rpc: -32013 },
  APPROVAL_DENIED: { blame: 'policy', rpc: -32014 },
  RATE_LIMITED: { blame: 'policy', rpc: -32015 },
  BUDGET_EXCEEDED: { blame: 'policy', rpc: -32016 },
  UNKNOWN_APPROVAL: { blame: 'client', rpc: -32017 },
  APPROVAL_SETTLED: { blame: 'client', rpc: -32018 },
  POLICY_INVALID: { blame: 'client', rpc: -32019 },
  SYNTAX_ERROR: { blame: 'guest', rpc: -32020 },
  RUNTIME_ERROR: { blame: 'guest', rpc: -32021 },
  INTERRUPTED: { blame: 'client', rpc: -32022 },
  TIMED_OUT: { blame: 'guest', rpc: -32023 },
  CPU_EXCEEDED: { blame: 'guest', rpc: -32024 },
  MEMORY_EXCEEDED: { blame: 'guest', rpc: -32025 },
  OUTPUT_TRUNCATED: { blame: 'guest', rpc: -32026 },
  SECURITY_VIOLATION: { blame: 'guest', rpc: -32027 },
  SESSION_LOST: { blame: 'daemon', rpc: -32028 },
  HOST_CRASHED: { blame: 'daemon', rpc: -32029 },
  CONFLICT: { blame: 'guest', rpc: -32030 },
  EFFECT_FAILED: { blame: 'guest', rpc: -32031 },
  AUDIT_BROKEN: { blame: 'daemon', rpc: -32032 },
  IN_DOUBT: { blame: 'daemon', rpc: -32033 },
  REPLAY_DIVERGED: { blame: 'daemon', rpc: -32034 },
  SESSION_MOVED: { blame: 'daemon', rpc: -32035 },
} as const satisfies Record<string, { blame: 'guest' | 'client' | 'policy' | 'daemon'; rpc: number }>;

export type FaultCode = keyof typeof FAULTS;
export type Blame = (typeof FAULTS)[FaultCode]['blame'];

/** What travels in `error.data` of a JSON-RPC error response. */
export interface FaultData {
  readonly code: FaultCode;
  readonly blame: Blame;
  /** Facts a program may act on, such as the limit that was met or the level that would grant a capability. */
  readonly details?: Readonly<Record<string, unknown>>;
}
