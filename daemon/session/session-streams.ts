/** What one session writes, on its way out: secrets are taken out of it. */
import type { EventBody } from '../../client/protocol.ts';
import type { RedactingStream, Redactor } from '../capabilities/redactor.ts';

type StreamName = 'stdout' | 'stderr';
type Written = Extract<EventBody, { kind: 'output' | 'display' | 'log' }>;

export class SessionStreams {
  readonly #redactor: Pick<Redactor, 'stream' | 'redact' | 'redactJson'>;
  readonly #streams: Readonly<Record<StreamName, RedactingStream>>;
  readonly #emit: (event: Written) => void;
  /** Whose text is held back, should some be. */
  #executionId: string | null = null;

  constructor(redactor: Pick<Redactor, 'stream' | 'redact' | 'redactJson'>, emit: (event: Written) => void) {
    this.#redactor = redactor;
    this.#streams = { stdout: redactor.stream(), stderr: redactor.stream() };
    this.#emit = emit;
  }

  write(executionId: string | null, stream: StreamName, text: string): void {
    if (executionId !== this.#executionId) this.flush();
    this.#executionId = executionId;
    this.#send(stream, this.#streams[stream].push(text));
  }

  /** @param json a MIME bundle as the isolate sent it; what is no object is not shown */
  display(executionId: string | null, json: string): void {
    // As data and not as text: what is shown as `'a\\\\b'` stands in the text with its backslashes doubled again.
    const data = this.#redactor.redactJson(parseObject(json));
    // Safe: only texts change.
    if (data !== undefined) this.#emit({ kind: 'display', executionId, data: data as Record<string, unknown> });
  }

  log(executionId: string | null, level: string, text: string): void {
    this.#emit({ kind: 'log', executionId, level, text: this.#redactor.redact(text) });
  }

  /** What may be the beginning of a secret is held back until more comes, or here: its cell has ended. */
  flush(): void {
    for (const stream of ['stdout', 'stderr'] as const) this.#send(stream, this.#streams[stream].flush());
  }

  /** What is held back comes again. */
  forget(): void {
    for (const stream of ['stdout', 'stderr'] as const) this.#streams[stream].flush();
  }

  #send(stream: StreamName, text: string): void {
    if (text !== '') this.#emit({ kind: 'output', executionId: this.#executionId, stream, text });
  }
}

function parseObject(json: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
