/**
 * The calls of one session as its isolate makes them, for the first time or once more: each is carried out once, and answered with
 * the one outcome that it has.
 *
 * I1: a call that is made again and is another one than before ends the replay: nobody's outcome is given to another.
 */
import { hash } from 'node:crypto';
import type { EventBody } from '../../client/protocol.ts';
import type { RebuiltCall } from '../durability/rebuilt.ts';
import type { Execution } from './execution.ts';
import { Inputs } from './inputs.ts';
import type { SessionEffects } from './session-effects.ts';
import type { GuestMessage } from './session-isolate.ts';
import type { SessionLife } from './session-life.ts';

/** What tells the question to the client from what else is asked because of a call. */
const ABOUT_INPUT = 'input';

export interface CallsPowers {
  readonly life: SessionLife;
  readonly nowMs: () => number;
  readonly effects: () => Pick<SessionEffects, 'handle'>;
  readonly emit: (event: EventBody) => void;
  readonly settle: (call: number, ok: boolean, json: string) => void;
  readonly diverged: (problem: string) => void;
}

export class SessionCalls {
  readonly #powers: CallsPowers;
  readonly #inputs: Inputs;

  constructor(powers: CallsPowers) {
    this.#powers = powers;
    this.#inputs = new Inputs(powers.emit);
  }

  called(message: Extract<GuestMessage, { kind: 'call' }>, execution: Execution | undefined): void {
    const { life, effects, settle, diverged } = this.#powers;
    const { call, origin, name, argsJson, position = null } = message;
    const executionId = execution?.executionId ?? null;
    const made = life.called({ call, executionId, origin, name, argsJson, position });
    const { record, outcome } = made;
    if (record.name !== name || record.argsJson !== argsJson) {
      diverged(`its call ${call} was one of ${record.name}, and is another one now`);
      return;
    }
    if (execution !== undefined && !made.counted) execution.capabilityCalls++;
    made.counted = true;
    if (outcome === undefined) {
      effects().handle(made);
      return;
    }
    if (!made.delivered) settle(call, outcome.ok, outcome.json);
  }

  /** Asks the session's client; null where it ended its input. */
  async requestInput(made: RebuiltCall, prompt: string, waitMs: number, signal: AbortSignal): Promise<string | null> {
    const { life, nowMs } = this.#powers;
    const { key, executionId } = made.record;
    const known = made.settlements.get(ABOUT_INPUT) as { readonly text: string | null } | undefined;
    if (known !== undefined) return known.text;
    const asked = made.asked.has(ABOUT_INPUT);
    const sinceMs = life.asked(made, ABOUT_INPUT);
    return this.#inputs.request({
      requestId: `inp_${hash('sha256', key, 'base64url').slice(0, 22)}`,
      prompt,
      executionId,
      waitMs: waitMs - Math.max(0, nowMs() - sinceMs),
      asked,
      signal,
      onAnswer: (text) => life.decided(made.record, ABOUT_INPUT, { text }),
    });
  }

  answerInput(requestId: string, text: string | null): void {
    this.#inputs.answer(requestId, text);
  }

  cancelInputs(): void {
    this.#inputs.cancelAll();
  }
}
