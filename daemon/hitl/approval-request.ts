/** What is put before a person: what the daemon knows of a request, made fit to be shown, and the hash that binds a decision to it. */
import { createHash, randomBytes } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { ApprovalInfo } from '../../client/protocol.ts';
import { guestData, guestJson, guestText } from './guest-text.ts';
import type { HitlLimits } from './hitl-limits.ts';

export interface InboxRequest {
  readonly kind: ApprovalInfo['kind'];
  readonly sessionId: string;
  readonly sessionName: string | null;
  /** Whose session it is, and so who asks. */
  readonly principal: string;
  readonly level: string;
  readonly language: string;
  readonly executionId: string | null;
  /** Where the call stands in the code, such as `cell:2:1:7`. */
  readonly position: string | null;
  readonly capability: string | null;
  /** Names the call for good: asked again after a crash, it is the same request. null for what is asked once. */
  readonly callKey: string | null;
  /** What the capability's `audited` shows of the arguments: JSON data. */
  readonly args: unknown;
  /** The arguments themselves, as they were passed. */
  readonly argsJson: string;
  /** Whether an approval counts for all later calls of the capability in the session. */
  readonly standing: boolean;
  readonly raisesTo: string | null;
  /** What guest code wrote for whoever decides; a text, or JSON data, as details. */
  readonly guest: { readonly title: string; readonly details: unknown } | null;
  /** Of the value that a reviewer may answer with, as JSON. */
  readonly valueBytesMax?: number;
}

/** What does not change about a request. */
export type Asked = Omit<ApprovalInfo, 'status' | 'settledAt' | 'comment' | 'settledBy'>;

/** Keeps the hash of a request from being the hash of anything else. */
const DOMAIN = 'pyrepl3/approval/v1';
const ID_BYTES = 16;

export function askedOf(
  request: InboxRequest,
  times: { readonly createdAt: string; readonly deadline: string },
  limits: HitlLimits,
): Asked {
  const { sessionName, position, capability, argsJson, guest } = request;
  const name = (text: string | null): string | null => (text === null ? null : guestText(text, limits.nameCharsMax));
  const asked = {
    approvalId: `apr_${idBytes(request.callKey).toString('base64url')}`,
    kind: request.kind,
    sessionId: request.sessionId,
    sessionName: name(sessionName),
    level: request.level,
    language: request.language,
    executionId: request.executionId,
    position: name(position),
    capability: name(capability),
    args: guestData(request.args, limits.argsCharsMax),
    argsBytes: Buffer.byteLength(argsJson),
    standing: request.standing,
    raisesTo: request.raisesTo,
    untrusted: guest === null ? null : shownText(guest, request.kind, limits),
    ...times,
  };
  return { ...asked, hash: hashOf(asked, argsJson) };
}

/** A call's key holds the unguessable id of its session. */
function idBytes(callKey: string | null): Buffer {
  if (callKey === null) return randomBytes(ID_BYTES);
  return createHash('sha256').update(`${DOMAIN}/${callKey}`).digest().subarray(0, ID_BYTES);
}

function shownText(
  { title, details }: NonNullable<InboxRequest['guest']>,
  kind: ApprovalInfo['kind'],
  limits: HitlLimits,
): ApprovalInfo['untrusted'] {
  const charsMax = kind === 'review' ? limits.reviewCharsMax : limits.detailsCharsMax;
  return {
    title: guestText(title, limits.titleCharsMax),
    details:
      details === null || details === undefined
        ? ''
        : typeof details === 'string'
          ? guestText(details, charsMax)
          : guestJson(details, charsMax),
  };
}

/**
 * SHA-256, in hex, of the canonical JSON (RFC 8785) of what a decision is about: the id, which is of this request alone; the
 * exact arguments; and the text of guest code as it is shown.
 */
function hashOf(asked: Omit<Asked, 'hash'>, argsJson: string): string {
  const { approvalId, kind, sessionId, level, executionId, position, capability, standing, raisesTo, untrusted } =
    asked;
  const argsSha256 = sha256(argsJson);
  const bound = {
    approvalId,
    kind,
    sessionId,
    level,
    executionId,
    position,
    capability,
    standing,
    raisesTo,
    untrusted,
  };
  return sha256(canonicalize({ domain: DOMAIN, argsSha256, ...bound }) ?? '');
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** As it stands in a list: what may be long is cut. */
export function abridged(info: ApprovalInfo, charsMax: number): ApprovalInfo {
  const { args, untrusted, comment } = info;
  const argsText = typeof args === 'string' ? args : JSON.stringify(args);
  return {
    ...info,
    comment: comment === null ? null : cut(comment, charsMax),
    args: argsText.length > charsMax ? cut(argsText, charsMax) : args,
    untrusted: untrusted && { ...untrusted, details: cut(untrusted.details, charsMax) },
  };
}

function cut(text: string, charsMax: number): string {
  if (text.length <= charsMax) return text;
  return `${text.slice(0, charsMax).replace(/[\ud800-\udbff]$/, '')}… (${text.length - charsMax} characters more)`;
}
