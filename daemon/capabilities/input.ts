import * as v from 'valibot';
import { type CallContext, Capability } from './capability.ts';
import type { AllowedCall } from './gate.ts';

const args = v.union(
  [v.strictTuple([]), v.strictTuple([v.pipe(v.string(), v.maxLength(8192))])],
  'the prompt must be a string of at most 8192 characters',
);

/** `input(prompt?)`: asks whoever runs the session for a line of text. */
export class InputCapability extends Capability<'input', [] | [string]> {
  override readonly name = 'input';
  override readonly summary = "Asks the session's client for a line of text and waits for the answer.";
  override readonly signature = 'declare function input(prompt?: string): Promise<string | null>;';
  override readonly stub = 'async def input(prompt: str = "") -> str: ...';
  override readonly idempotent = false;
  override readonly readOnly = true;
  override readonly patient = true;
  override readonly args = args;

  /** The same question is asked again, and an answer that was given meanwhile is found. */
  override repeatable(): boolean {
    return true;
  }

  override invoke(call: AllowedCall<'input', [] | [string]>, context: CallContext): Promise<string | null> {
    return context.requestInput(call.args[0] ?? '', call.constraints.waitMsMax);
  }
}
