/** What can be asked about a session between its cells: its variables, and what a REPL needs. */
import type { NamespaceEntry, Results, Value } from '../../client/protocol.ts';
import { Fault } from '../fault.ts';
import { outcomeValue } from './execution.ts';
import type { SessionIsolate } from './session-isolate.ts';
import { SESSION_LIMITS } from './session-limits.ts';

/** Names of the engine's own: results and nothing else are kept in them. */
const HISTORY_NAMES: ReadonlySet<string> = new Set(['_', '__', '___']);

export interface QuestionPowers {
  /** The isolate, opened where there is none. Fails with SESSION_CLOSED, and once with SESSION_LOST after a loss. */
  readonly isolate: () => Pick<SessionIsolate, 'ask'>;
  readonly valueBytesMax: () => number;
  /** The session now holds something that a user would miss. */
  readonly stateful: () => void;
}

export class SessionQuestions {
  readonly #powers: QuestionPowers;

  constructor(powers: QuestionPowers) {
    this.#powers = powers;
  }

  async listNames(): Promise<readonly NamespaceEntry[]> {
    return (await this.#powers.isolate().ask({ about: 'namespace.list' })).names;
  }

  async getName(name: string): Promise<Value> {
    const answer = await this.#powers.isolate().ask({ about: 'namespace.get', name });
    const value = answer.outcome === undefined ? undefined : outcomeValue(answer.outcome);
    if (value !== undefined) return value;
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
    const answer = await this.#powers.isolate().ask({ about: 'namespace.set', valuesJson });
    this.#powers.stateful();
    return answer.names;
  }

  async deleteNames(names: readonly string[]): Promise<readonly string[]> {
    return (await this.#powers.isolate().ask({ about: 'namespace.delete', names })).names;
  }

  async complete(source: string, cursor: number): Promise<Results['session.complete']> {
    const { matches, start, end } = await this.#powers.isolate().ask({ about: 'complete', source, cursor });
    return { matches, start, end };
  }

  async inspect(source: string, cursor: number): Promise<Results['session.inspect']> {
    const { found, text } = await this.#powers.isolate().ask({ about: 'inspect', source, cursor });
    return { found, text };
  }

  async isComplete(source: string): Promise<Results['session.isComplete']> {
    return { status: (await this.#powers.isolate().ask({ about: 'isComplete', source })).status };
  }
}
