/**
 * The calls of one session that the daemon has not answered yet.
 *
 * I1: they are bounded in number and in the length of their arguments, whatever the guest side sends; its own bounds are lower.
 */

/** Characters of arguments: somewhat more than the guest side's own bounds, which it tells its callers of. */
const ARGUMENTS_MAX = 28 * 1024 * 1024;
const WAITING_MAX = 56 * 1024 * 1024;

interface OpenCall {
  readonly length: number;
  readonly patient: boolean;
  /** The cell that it goes back to. */
  readonly origin: number;
}

export class OpenCalls {
  readonly #callsMax: number;
  readonly #open = new Map<number, OpenCall>();
  #length = 0;
  #patient: ReadonlySet<string>;

  /** @param patient names of capabilities that wait for a person */
  constructor(callsMax: number, patient: readonly string[]) {
    this.#callsMax = callsMax;
    this.#patient = new Set(patient);
  }

  set patient(names: readonly string[]) {
    this.#patient = new Set(names);
  }

  get size(): number {
    return this.#open.size;
  }

  /** Undefined where the call is beyond a bound, or is open already. */
  open(call: number, name: string, argsJson: string, origin: number): OpenCall | undefined {
    const { length } = argsJson;
    const refused = this.#open.size >= this.#callsMax || length > ARGUMENTS_MAX || this.#length + length > WAITING_MAX;
    if (refused || this.#open.has(call)) return undefined;
    const opened = { length, patient: this.#patient.has(name), origin };
    this.#open.set(call, opened);
    this.#length += length;
    return opened;
  }

  /** Undefined where no such call is open. */
  settle(call: number): OpenCall | undefined {
    const opened = this.#open.get(call);
    if (opened === undefined) return undefined;
    this.#open.delete(call);
    this.#length -= opened.length;
    return opened;
  }
}
