import * as v from 'valibot';
import { Fault } from '../fault.ts';
import { jsonBytes } from '../hitl/json-bytes.ts';
import { type CallContext, Capability } from './capability.ts';
import type { AllowedCall } from './gate.ts';

/** Far more of either than a person is shown; the rest only costs memory. */
const QUESTION_CHARS_MAX = 8192;
const DETAILS_BYTES_MAX = 64 * 1024;

const args = v.strictTuple([
  v.pipe(
    v.string('the question must be a string'),
    v.minLength(1, 'the question must not be empty'),
    v.maxLength(QUESTION_CHARS_MAX, `the question may have at most ${QUESTION_CHARS_MAX} characters`),
  ),
  v.optional(
    v.pipe(
      v.unknown(),
      v.check(
        (details) => jsonBytes(details) <= DETAILS_BYTES_MAX,
        `the details may have at most ${DETAILS_BYTES_MAX} bytes as JSON`,
      ),
    ),
  ),
]);

type Args = v.InferOutput<typeof args>;

/** `approve(question, details?)`: asks an administrator for a yes or a no. */
export class ApproveCapability extends Capability<'approve', Args> {
  override readonly name = 'approve';
  override readonly summary = 'Asks an administrator for a yes or a no, and waits for the answer.';
  override readonly signature = `/**
 * Asks an administrator. False when it was denied, and when nobody answered in time.
 * @param question what is asked, of which 200 characters are shown
 * @param details JSON data to look at before answering
 * @throws INTERRUPTED when the session ended meanwhile, BUSY when too many questions wait already
 */
declare function approve(question: string, details?: unknown): Promise<boolean>;`;
  override readonly stub = 'async def approve(question: str, details: object = None) -> bool: ...';
  override readonly idempotent = false;
  override readonly readOnly = true;
  override readonly patient = true;
  override readonly args = args;

  /** The same question is asked again, and an answer that was given meanwhile is found. */
  override repeatable(): boolean {
    return true;
  }

  override audited([question, details]: Args): unknown {
    return [question, ...(details === undefined ? [] : [{ bytes: jsonBytes(details) }])];
  }

  override async invoke({ args, constraints }: AllowedCall<'approve', Args>, context: CallContext): Promise<boolean> {
    const [title, details = null] = args;
    const { outcome } = await context.requestDecision({
      kind: 'approve',
      title,
      details,
      waitMs: constraints.waitMsMax,
    });
    // A withdrawn question was not answered: code that is still there must not take that for a no.
    if (outcome === 'cancelled')
      throw new Fault('INTERRUPTED', 'approve() was not answered: the session ended, or lost the capability.');
    return outcome === 'approved';
  }
}
