/**
 * What guest code of one session writes, on its way to whoever watches.
 *
 * I1: what was passed on is not passed on again when a lost isolate is made again and writes it once more.
 */
import type { EventBody } from '../../client/protocol.ts';
import type { Redactor } from '../capabilities/redactor.ts';
import type { Execution } from './execution.ts';
import type { GuestMessage } from './session-isolate.ts';
import type { SaidKind, SessionLife } from './session-life.ts';
import { SessionStreams } from './session-streams.ts';

type Spoken = Extract<GuestMessage, { kind: 'output' | 'display' | 'log' | 'output.truncated' }>;
type Written = Extract<EventBody, { kind: 'output' | 'display' | 'log' }>;

export interface VoicePowers {
  readonly redactor: Pick<Redactor, 'stream' | 'redact' | 'redactJson'>;
  readonly life: Pick<SessionLife, 'wrote'>;
  readonly emit: (event: EventBody) => void;
  /** A piece of output of an execution, as it was passed on. */
  readonly written: (output: Extract<EventBody, { kind: 'output' }>) => void;
  readonly outputBytesMax: () => number;
}

export class SessionVoice {
  readonly #powers: VoicePowers;
  readonly #streams: SessionStreams;

  constructor(powers: VoicePowers) {
    this.#powers = powers;
    this.#streams = new SessionStreams(powers.redactor, (event) => this.#pass(event));
  }

  /** @param execution the one that wrote it; undefined for what runs on after its cell has ended */
  says(message: Spoken, execution: Execution | undefined): void {
    const executionId = execution?.executionId ?? null;
    if (message.kind === 'output') this.#streams.write(executionId, message.stream, message.text);
    else if (message.kind === 'display') this.#streams.display(executionId, message.dataJson);
    else if (message.kind === 'log') this.#streams.log(executionId, message.level, message.text);
    else {
      if (execution !== undefined) execution.truncated = true;
      if (this.#powers.life.wrote('cuts', 1) === 0)
        this.#powers.emit({ kind: 'output.truncated', executionId, limitBytes: this.#powers.outputBytesMax() });
    }
  }

  /** What may be the beginning of a secret is held back until more comes, or here: its cell has ended. */
  flush(): void {
    this.#streams.flush();
  }

  /** What is held back is not passed on: a lost isolate is made again, and writes it once more. */
  forget(): void {
    this.#streams.forget();
  }

  #pass(event: Written): void {
    const kind: SaidKind = event.kind === 'output' ? event.stream : event.kind === 'display' ? 'displays' : 'logs';
    const amount = event.kind === 'output' ? event.text.length : 1;
    const known = this.#powers.life.wrote(kind, amount);
    if (known === amount) return;
    if (event.kind !== 'output') {
      this.#powers.emit(event);
      return;
    }
    const fresh = known === 0 ? event : { ...event, text: event.text.slice(known) };
    if (fresh.executionId !== null) this.#powers.written(fresh);
    this.#powers.emit(fresh);
  }
}
