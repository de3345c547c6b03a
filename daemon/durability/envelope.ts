/**
 * What we keep in the promises of a Resonate server: JSON of ours as one opaque text, because the SDK's codec takes some texts and
 * objects for others of its own (`"__INF__"`, `{__type: 'error'}`), and PostgreSQL takes no NUL.
 *
 * I1: what was sealed is opened unchanged, or not at all.
 */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** The version of what is inside. */
const VERSION = 1;

/** Base64 of JSON, as servers and their tools expect it. */
export function seal(fields: { readonly [key: string]: Json }): string {
  return Buffer.from(JSON.stringify({ ...fields, v: VERSION })).toString('base64');
}

/** null: it is none of ours, or of a newer version. */
export function open(data: unknown): { readonly [key: string]: Json } | null {
  if (typeof data !== 'string') return null;
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(data, 'base64').toString());
  } catch {
    return null;
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return null;
  const { v, ...fields } = parsed as { readonly [key: string]: Json };
  return v === VERSION ? fields : null;
}
