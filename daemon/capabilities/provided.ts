/**
 * The functions that clients provide for their own sessions. To the gate each is a capability like any other, granted
 * as `provided`; its effect is to ask the client, whose schemas and answers are as untrusted as the code that calls.
 *
 * I1: no function stands for a name that means something already: a capability's, a global's, or a word of the
 * languages.
 * I2: arguments reach the client only when they fit its schema, and an answer reaches the code only when it fits the
 * other one.
 * I3: a call settles within its time, whatever the client does.
 */
import * as v from 'valibot';
import type { ConstraintsOf } from '../../policies/capabilities.ts';
import { Fault } from '../fault.ts';
import { type CallContext, Capability } from './capability.ts';
import { capabilityNameProblem } from './capability-name.ts';
import type { AllowedCall } from './gate.ts';
import { refuseTooLarge } from './piecewise.ts';
import { ProvidedSchema } from './provided-schema.ts';
import { oneLine, pythonStub, typeScriptSignature } from './provided-signature.ts';

type Constraints = ConstraintsOf<'provided'>;

/** What a client says of its function. */
export interface ProvidedOffer {
  readonly name: string;
  readonly summary: string;
  /**
   * JSON Schema: of the list of arguments (`type: array`), of the only argument (`type: object`), or `true` for any.
   */
  readonly parameters: unknown;
  /** JSON Schema of the answer; any answer fits where there is none. */
  readonly result?: unknown;
  /** Each call's time, where that is less than the level allows. */
  readonly timeoutMs?: number | undefined;
}

/** The client that a function is at the other end of. */
export interface Provider {
  /**
   * Asks the client. Resolves to JSON data. Rejects with a Fault that guest code may read: EFFECT_FAILED where the
   * client answers with an error or is gone.
   */
  invoke(callId: string, name: string, args: readonly unknown[], signal: AbortSignal): Promise<unknown>;
}

export interface ProvideRules {
  /** How many functions the session may have; from its grant. */
  readonly countMax: number;
  /** Whether a name is a capability's or one of its globals', granted or not. */
  readonly isTaken: (name: string) => boolean;
}

/** Those of one session. */
export class ProvidedCapabilities {
  readonly #provided = new Map<string, ProvidedCapability>();

  get names(): readonly string[] {
    return [...this.#provided.keys()];
  }

  named(name: string): Capability | undefined {
    return this.#provided.get(name);
  }

  /**
   * A function that is provided again takes the place of the earlier one, so that a client can go on after a lost
   * connection. Fails with INVALID_PARAMS for a name or a schema that cannot be, LIMIT_DENIED where the session has as
   * many as it may.
   */
  provide(offer: ProvidedOffer, provider: Provider, { countMax, isTaken }: ProvideRules): Capability {
    const { name } = offer;
    const problem = capabilityNameProblem(name, isTaken);
    if (problem !== null) {
      throw new Fault('INVALID_PARAMS', `No function can be called ${JSON.stringify(name.slice(0, 80))}: ${problem}.`);
    }
    if (!this.#provided.has(name) && this.#provided.size >= countMax) {
      throw new Fault(
        'LIMIT_DENIED',
        `The session has ${countMax} provided functions, the most that its level allows.`,
        {
          countMax,
        },
      );
    }
    const capability = new ProvidedCapability(offer, provider);
    this.#provided.set(name, capability);
    return capability;
  }

  /** Answers whether there was one. */
  withdraw(name: string): boolean {
    return this.#provided.delete(name);
  }
}

class ProvidedCapability extends Capability<string, unknown[]> {
  override readonly name: string;
  override readonly summary: string;
  override readonly signature: string;
  override readonly stub: string;
  /** Nobody but the client knows what it does. */
  override readonly idempotent = false;
  override readonly patient = false;
  override readonly args: v.GenericSchema<unknown, unknown[]>;
  readonly #provider: Provider;
  readonly #result: ProvidedSchema | null;
  readonly #timeoutMs: number | undefined;

  constructor({ name, summary, parameters, result, timeoutMs }: ProvidedOffer, provider: Provider) {
    super();
    const parameterSchema = parametersSchema(parameters);
    this.#result = result === undefined || result === null ? null : new ProvidedSchema(result, 'result');
    const described = { name, summary, parameters: parameterSchema.root, result: this.#result?.root ?? null };
    this.name = name;
    this.summary = oneLine(summary);
    this.signature = typeScriptSignature(described);
    this.stub = pythonStub(described);
    this.args = argsSchema(parameterSchema);
    this.#provider = provider;
    this.#timeoutMs = timeoutMs;
  }

  override async invoke(call: AllowedCall<string, unknown[]>, { callKey, signal }: CallContext): Promise<unknown> {
    // It is granted as `provided`, whose constraints these are.
    const { timeMsMax, bytesMax } = call.constraints as Constraints;
    refuseTooLarge(this.name, Buffer.byteLength(JSON.stringify(call.args)), bytesMax);
    const timeMs = Math.min(this.#timeoutMs ?? timeMsMax, timeMsMax);
    const answer = await this.#ask(callKey, call.args, timeMs, signal);
    return this.#accepted(answer, bytesMax);
  }

  /** Waits for the answer no longer than its time, and no longer than the session lives. */
  async #ask(callKey: string, args: readonly unknown[], timeMs: number, signal: AbortSignal): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const ending = new AbortController();
    const stop = (fault: Fault): void => {
      reject(fault);
      ending.abort(fault);
    };
    const timer = setTimeout(() => {
      stop(new Fault('TIMED_OUT', `${this.name}() was not answered within ${timeMs} ms.`, { timeMs }));
    }, timeMs);
    const onAbort = (): void => stop(new Fault('INTERRUPTED', 'The session ended meanwhile.'));
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      if (signal.aborted) onAbort();
      else this.#provider.invoke(callKey, this.name, args, ending.signal).then(resolve, reject);
      return await promise;
    } catch (error) {
      if (error instanceof Fault) throw error;
      throw new Fault('EFFECT_FAILED', `${this.name}() failed at the client that provides it.`, { reason: 'provided' });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** The answer as plain data, whatever it was. */
  #accepted(answer: unknown, bytesMax: number): unknown {
    const json = jsonOf(answer);
    if (json === null) {
      throw new Fault('EFFECT_FAILED', `${this.name}() was answered with what is no JSON.`, { reason: 'protocol' });
    }
    const bytes = Buffer.byteLength(json);
    if (bytes > bytesMax) {
      const message = `${this.name}() was answered with ${bytes} bytes; an answer may have ${bytesMax}.`;
      throw new Fault('TOO_LARGE', message, { bytes, bytesMax });
    }
    const data: unknown = JSON.parse(json);
    const problem = this.#result?.problem(data) ?? null;
    if (problem === null) return data;
    throw new Fault('EFFECT_FAILED', `${this.name}() was answered with what it does not promise: ${problem}`, {
      reason: 'protocol',
    });
  }
}

function parametersSchema(parameters: unknown): ProvidedSchema {
  const schema = new ProvidedSchema(parameters, 'parameters');
  const { root } = schema;
  if (root === true || (root !== false && (root.type === 'array' || root.type === 'object'))) return schema;
  const forms = 'type "array" for the list of arguments, or type "object" for a single one';
  throw new Fault('INVALID_PARAMS', `parameters: must be a schema of ${forms}, or true for any arguments`);
}

/** Arguments that fit; the message of what does not names the place. */
function argsSchema(schema: ProvidedSchema): v.GenericSchema<unknown, unknown[]> {
  const isSingle = typeof schema.root === 'object' && schema.root.type === 'object';
  return v.pipe(
    v.array(v.unknown(), 'the arguments must be a list'),
    v.rawCheck(({ dataset, addIssue }) => {
      if (!dataset.typed) return;
      const [only, ...more] = dataset.value;
      if (isSingle && (only === undefined || more.length > 0))
        addIssue({ message: 'there must be exactly one argument' });
      else {
        const problem = schema.problem(isSingle ? only : dataset.value);
        if (problem !== null) addIssue({ message: `the arguments do not fit: ${problem}` });
      }
    }),
  );
}

function jsonOf(value: unknown): string | null {
  try {
    return value === undefined ? 'null' : (JSON.stringify(value) ?? null);
  } catch {
    return null;
  }
}
