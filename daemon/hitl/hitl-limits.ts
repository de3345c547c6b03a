/** Bounds of the approval inbox. */
export const HITL_LIMITS = {
  /** Of one session: more than anyone answers one by one, and too few to wear somebody down with. */
  pendingOfSessionMax: 16,
  /** Of all sessions together. */
  pendingMax: 1000,
  /** Settled requests that can still be looked at; the audit log has all of them. */
  settledKept: 500,
  /** How long a call that needs approval, or a raise, waits: somebody may be at lunch. */
  callWaitMs: 60 * 60 * 1000,
  titleCharsMax: 200,
  detailsCharsMax: 4000,
  /** Of a value under review: whoever approves it should have seen all of it. */
  reviewCharsMax: 16 * 1024,
  argsCharsMax: 8 * 1024,
  /** Of details, arguments and comments in a list: 1,500 of them must fit into one frame. */
  listedCharsMax: 200,
  /** Of names that a client chose: a session's, a provided capability's. */
  nameCharsMax: 128,
  commentCharsMax: 2000,
  /** Of a reviewer's value, as JSON, where the request allows no less. */
  valueBytesMax: 1024 * 1024,
  /** Requests that wait for a change. */
  watchersMax: 256,
} as const;

export type HitlLimits = { readonly [K in keyof typeof HITL_LIMITS]: number };
