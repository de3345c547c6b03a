/** What can be asked about a session between its cells: its variables, and what a REPL needs. */
import type { NamespaceEntry, Results, Value } from '../../client/protocol.ts';
import type { Answer, Question } from '../../sandbox/protocol.ts';
import { Fault } from '../fault.ts';
import { outcomeValue } from './execution.ts';
import type { SessionIsolate } from './session-isolate.ts';
import { SESSION_LIMITS } from './session-limits.ts';

/** Names of the engine's own: results and nothing else are kept in them. */
const HISTORY_NAMES: ReadonlySet<string> = new Set(['_', '__', '___']);

export interface QuestionPowers {
  /** The isolate, opened where there is none. Fails with SESSION_CLOSED, and once with SESSION_LOST after a loss. */
  readonly isolate: () => Pick<SessionIsolate, 'ask'>;
  /** Whether an isolate that went while it was asked is being made again: then nothing is lost. */
  readonly madeAgain: () => boolean;
  readonly valueBytesMax: () => number;
  /** Takes secrets out of JSON data; whatever else is in it stays. */
  readonly redact: (answer: unknown) => unknown;
  /** Resolves once what has changed is in the journal. */
  readonly committed: () => Promise<void>;
  /** The session now holds something that a user would miss. */
  readonly stateful: () => void;
}

/** Hosts that may die one after another under the same question. */
const ATTEMPTS_MAX = 4;

export class SessionQuestions {
  readonly #powers: QuestionPowers;

  constructor(powers: QuestionPowers) {
    this.#powers = powers;
  }

  async listNames(): Promise<readonly NamespaceEntry[]> {
    return this.#redacted((await this.#ask({ about: 'namespace.list' })).names);
  }

  async getName(name: string): Promise<Value> {
    const answer = await this.#ask({ about: 'namespace.get', name });
    const value = answer.outcome === undefined ? undefined : outcomeValue(answer.outcome);
    if (value !== undefined) return this.#redacted(value);
    const message = `namespace.get: this session has no variable ${JSON.stringify(name)}; namespace.list names those it has.`;
    throw new Fault('INVALID_PARAMS', message, { name });
  }

  async setNames(values: Readonly<Record<string, unknown>>): Promise<readonly string[]> {
    const names = Object.keys(values);
    if (names.length > SESSION_LIMITS.namesMax) {
      throw new Fault('TOO_LARGE', `namespace.set: at most ${SESSION_LIMITS.namesMax} names at once.`);
    }
    const kept = names.find((name) => HISTORY_NAMES.has(name));
    if (kept !== undefined) {
      throw new Fault('INVALID_PARAMS', `namespace.set: ${kept} holds a result of the session and cannot be set.`);
    }
    const valuesJson = JSON.stringify(values);
    const bytesMax = this.#powers.valueBytesMax();
    if (Buffer.byteLength(valuesJson) > bytesMax) {
      throw new Fault('TOO_LARGE', `namespace.set: the values may have at most ${bytesMax} bytes as JSON.`, {
        bytesMax,
      });
    }
    const answer = await this.#ask({ about: 'namespace.set', valuesJson });
    this.#powers.stateful();
    await this.#powers.committed();
    return answer.names;
  }

  async deleteNames(names: readonly string[]): Promise<readonly string[]> {
    const answer = await this.#powers.isolate().ask({ about: 'namespace.delete', names });
    await this.#powers.committed();
    return answer.names;
  }

  async complete(source: string, cursor: number): Promise<Results['session.complete']> {
    const { matches, start, end } = await this.#ask({ about: 'complete', source, cursor });
    return this.#redacted({ matches, start, end });
  }

  async inspect(source: string, cursor: number): Promise<Results['session.inspect']> {
    const { found, text } = await this.#ask({ about: 'inspect', source, cursor });
    return this.#redacted({ found, text });
  }

  async isComplete(source: string): Promise<Results['session.isComplete']> {
    return { status: (await this.#ask({ about: 'isComplete', source })).status };
  }

  /** Once more where the host died meanwhile: what is asked here twice comes to the same. */
  async #ask<K extends Question['about']>(
    question: Extract<Question, { about: K }>,
  ): Promise<Extract<Answer, { about: K }>> {
    for (let attempts = 1; ; attempts++) {
      try {
        return await this.#powers.isolate().ask(question);
      } catch (error) {
        const isLost = error instanceof Fault && error.code === 'SESSION_LOST';
        if (attempts >= ATTEMPTS_MAX || !isLost || !this.#powers.madeAgain()) throw error;
      }
    }
  }

  #redacted<T>(answer: T): T {
    // Safe: only texts change.
    return this.#powers.redact(answer) as T;
  }
}
