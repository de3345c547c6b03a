import type { CapabilityDoc, CellOutcome, FromHost } from '../../sandbox/protocol.ts';
import { Hosted } from './_hosted.ts';

export type Call = Extract<FromHost, { kind: 'call' }>;

/** What a call fails with. */
export class CallFault extends Error {
  readonly code: string;
  readonly details: unknown;

  constructor(code: string, message: string, details?: unknown) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** The answer's JSON text as it is, well-formed or not. */
export class RawAnswer {
  readonly json: string;

  constructor(json: string) {
    this.json = json;
  }
}

/** Answers a call: with JSON data, or undefined to leave it open. */
export type Answer = (name: string, args: unknown[]) => unknown;

/** A session in a real isolate whose capabilities this test carries out. */
export class CapabilitySession {
  readonly host: Hosted;
  readonly calls: (readonly [name: string, ...args: unknown[]])[] = [];
  readonly #isolate = 'session';
  readonly #answer: Answer;
  #heard = 0;

  constructor(
    capabilities: readonly string[],
    answer: Answer,
    docs: readonly CapabilityDoc[] = [],
    host: Hosted = new Hosted(),
  ) {
    this.host = host;
    this.#answer = answer;
    this.host.onSaid = () => this.#look();
    this.host.open(this.#isolate, {
      capabilities,
      patient: [],
      docs,
      heapMiB: 128,
      valueBytesMax: 1 << 20,
      pendingCallsMax: 20,
    });
  }

  #look(): void {
    for (; this.#heard < this.host.said.length; this.#heard++) {
      const said = this.host.said[this.#heard];
      if (said?.kind === 'call') this.#settle(said);
    }
  }

  #settle({ call, name, argsJson }: Call): void {
    const args = JSON.parse(argsJson) as unknown[];
    this.calls.push([name, ...args]);
    const tell = (ok: boolean, json: string): void =>
      this.host.tell({ kind: 'call.settle', isolate: this.#isolate, call, ok, json });
    try {
      const answer = this.#answer(name, args);
      if (answer instanceof RawAnswer) tell(true, answer.json);
      else if (answer !== undefined) tell(true, JSON.stringify(answer));
    } catch (error) {
      const { code, message, details } = error as CallFault;
      tell(false, JSON.stringify({ code, name: 'Fault', message, details }));
    }
  }

  grant(capabilities: readonly string[], docs: readonly CapabilityDoc[] = [], patient: readonly string[] = []): void {
    this.host.tell({ kind: 'capabilities.set', isolate: this.#isolate, number: 1, capabilities, patient, docs });
  }

  async outcome(source: string): Promise<CellOutcome> {
    return (await this.host.run(this.#isolate, source, { outputBytes: 100_000 })).outcome;
  }

  /** The value of a cell; of what is no JSON its preview, and of an error its code or name and its message. */
  async run(source: string): Promise<unknown> {
    const outcome = await this.outcome(source);
    if (outcome.status === 'value') return JSON.parse(outcome.json);
    if (outcome.status === 'preview') return outcome.text;
    if (outcome.status === 'stopped') return `stopped by ${outcome.by}`;
    const { code, name, message } = outcome.error;
    return `${code === 'CAPABILITY_DENIED' ? code : name}: ${message}`;
  }

  /** What a cell writes. */
  async output(source: string): Promise<string> {
    const from = this.host.said.length;
    await this.run(source);
    return this.host.said
      .slice(from)
      .flatMap((said) => (said.kind === 'output' ? [said.text] : []))
      .join('');
  }

  close(): void {
    this.host.close();
  }
}
