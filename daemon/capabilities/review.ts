import * as v from 'valibot';
import { Fault } from '../fault.ts';
import { jsonBytes } from '../hitl/json-bytes.ts';
import { type CallContext, Capability } from './capability.ts';
import type { AllowedCall } from './gate.ts';

const TITLE_CHARS_MAX = 8192;

const args = v.strictTuple([
  v.pipe(
    v.unknown(),
    v.check((value) => value !== undefined, 'the value is missing'),
  ),
  v.nullish(
    v.strictObject({
      title: v.optional(
        v.pipe(
          v.string('the title must be a string'),
          v.maxLength(TITLE_CHARS_MAX, `the title may have at most ${TITLE_CHARS_MAX} characters`),
        ),
      ),
    }),
  ),
]);

type Args = v.InferOutput<typeof args>;

/** `review(value, {title?})`: has an administrator look at a value, and change it if need be. */
export class ReviewCapability extends Capability<'review', Args> {
  override readonly name = 'review';
  override readonly summary = 'Has an administrator look at a value, and answers it as approved or edited.';
  override readonly signature = `/**
 * Has an administrator look at JSON data before it is used. Answers the value as it was approved, or as the reviewer changed it.
 * @throws APPROVAL_DENIED when the reviewer refused it, with the reviewer's comment; TIMED_OUT when nobody answered in time;
 *   TOO_LARGE beyond the level's bytesMax; INTERRUPTED when the session ended meanwhile; BUSY when too many wait already
 */
declare function review<T>(value: T, options?: { title?: string }): Promise<T>;`;
  override readonly stub = 'async def review(value: object, *, title: str | None = None) -> object: ...';
  override readonly idempotent = false;
  override readonly readOnly = true;
  override readonly patient = true;
  override readonly args = args;

  /** The same question is asked again, and an answer that was given meanwhile is found. */
  override repeatable(): boolean {
    return true;
  }

  override audited([value, options]: Args): unknown {
    return [{ bytes: jsonBytes(value) }, ...(options?.title === undefined ? [] : [{ title: options.title }])];
  }

  override async invoke({ args, constraints }: AllowedCall<'review', Args>, context: CallContext): Promise<unknown> {
    const [value, options] = args;
    const { bytesMax, waitMsMax } = constraints;
    assertFits(value, bytesMax, 'The value to review');
    const decision = await context.requestDecision({
      kind: 'review',
      title: options?.title ?? '',
      details: value,
      waitMs: waitMsMax,
      valueBytesMax: bytesMax,
    });
    switch (decision.outcome) {
      case 'approved':
        if (decision.value === undefined) return value;
        assertFits(decision.value, bytesMax, 'What the reviewer answered');
        return decision.value;
      case 'denied':
        throw new Fault(
          'APPROVAL_DENIED',
          decision.comment === null
            ? 'The reviewer refused the value.'
            : `The reviewer refused it: ${decision.comment}`,
        );
      case 'timed-out':
        throw new Fault('TIMED_OUT', `Nobody reviewed the value within ${waitMsMax} ms.`);
      case 'cancelled':
        throw new Fault('INTERRUPTED', 'The value was not reviewed: the session ended, or lost the capability.');
    }
  }
}

function assertFits(value: unknown, bytesMax: number, what: string): void {
  if (jsonBytes(value) <= bytesMax) return;
  throw new Fault('TOO_LARGE', `${what} may have at most ${bytesMax} bytes as JSON.`, { bytesMax });
}
