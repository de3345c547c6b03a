import * as v from 'valibot';
import { PyreplError } from './errors.ts';
import { CLIENT_METHODS, type Params } from './protocol.ts';

/**
 * A JSON Schema, of those keywords that the daemon takes: types, bounds, choices, `properties`, `items`, references to
 * `$defs`.
 */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

export interface ProvideOptions {
  /** One sentence: what the function does. The person who reads `help()` and the one who approves a call see it. */
  readonly summary: string;
  /**
   * With `type: 'array'` what the list of arguments is, with `type: 'object'` what the only argument is; `true` for any
   * arguments. The daemon lets no others through.
   */
  readonly parameters: JsonSchema;
  /** What the function answers; the daemon lets no other answer through. */
  readonly result?: JsonSchema;
  /** How long one call may take; the level's own limit can only be narrowed. */
  readonly timeoutMs?: number;
}

/**
 * Answers the calls of guest code. The arguments fit the schema and are untrusted beyond that; the answer is JSON data.
 * What it throws fails the guest's call, and its message is what the guest is told.
 */
export type ProvidedHandler = (...args: never[]) => unknown;

type Offer = Omit<Params<'capability.provide'>, 'sessionId'>;

interface Provided {
  readonly offer: Offer;
  readonly handler: (...args: unknown[]) => unknown;
}

/**
 * The functions that a program provides for one of its sessions; they outlive the connections on which they were
 * offered.
 */
export class ProvidedCapabilities {
  readonly #provided = new Map<string, Provided>();

  get offers(): readonly Offer[] {
    return Array.from(this.#provided.values(), ({ offer }) => offer);
  }

  /**
   * Calls of the name are the handler's from now on; returns what takes it back, to the earlier handler where there was
   * one.
   */
  add(name: string, options: ProvideOptions, handler: ProvidedHandler): { readonly offer: Offer; undo(): void } {
    const { summary, parameters, result, timeoutMs } = options;
    const offer: Offer = {
      name,
      summary,
      parameters,
      ...(result !== undefined && { result }),
      ...(timeoutMs !== undefined && { timeoutMs }),
    };
    const before = this.#provided.get(name);
    const provided: Provided = { offer, handler: handler as Provided['handler'] };
    this.#provided.set(name, provided);
    const undo = (): void => {
      if (this.#provided.get(name) !== provided) return;
      if (before) this.#provided.set(name, before);
      else this.#provided.delete(name);
    };
    return { offer, undo };
  }

  remove(name: string): void {
    this.#provided.delete(name);
  }

  clear(): void {
    this.#provided.clear();
  }

  async invoke(name: string, args: readonly unknown[]): Promise<unknown> {
    const provided = this.#provided.get(name);
    if (!provided) throw new PyreplError('METHOD_NOT_FOUND', `this client does not provide ${name}`);
    return provided.handler(...args);
  }
}

/** A call of the daemon's, parsed; throws where it is not one that this client knows. */
export function parseInvocation(
  method: string,
  params: unknown,
): v.InferOutput<(typeof CLIENT_METHODS)['capability.invoke']> {
  if (method !== 'capability.invoke') throw new PyreplError('METHOD_NOT_FOUND', 'this client answers no such call');
  const parsed = v.safeParse(CLIENT_METHODS[method], params, { abortEarly: true });
  if (parsed.success) return parsed.output;
  throw new PyreplError('INVALID_PARAMS', `${method}: ${v.getDotPath(parsed.issues[0]) ?? 'the parameters'} is wrong`);
}
