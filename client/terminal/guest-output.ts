import type { EventGap } from '../event-buffer.ts';
import type { ExecutionEvent } from '../execution.ts';
import { TerminalFilter } from './terminal-filter.ts';

/** Where text goes, and what may be written there. */
export interface TextSink {
  write(text: string): unknown;
  readonly isTerminal: boolean;
  readonly colours: boolean;
}

/** Writes to one stream what a guest wrote: as it is to a file or a pipe, made harmless to a terminal. */
export class GuestOutput {
  readonly #sink: TextSink;
  readonly #filter: TerminalFilter;
  #atLineStart = true;

  constructor(sink: TextSink) {
    this.#sink = sink;
    this.#filter = new TerminalFilter({ colours: sink.colours });
  }

  write(text: string): void {
    const safe = this.#sink.isTerminal ? this.#filter.filter(text) : text;
    if (safe === '') return;
    this.#sink.write(safe);
    this.#atLineStart = safe.endsWith('\n');
  }

  /** A line of its own, whatever the guest had left unfinished. */
  writeLine(text: string): void {
    if (!this.#atLineStart) this.#sink.write('\n');
    this.write(text.endsWith('\n') ? text : `${text}\n`);
    this.end();
  }

  /** Puts the terminal's colours back where the guest had changed them. */
  end(): void {
    const reset = this.#filter.end();
    if (reset !== '' && this.#sink.isTerminal) this.#sink.write(reset);
  }
}

/** Prints the events of an execution as text: what it wrote, what it displayed, and what is missing from it. */
export function printEvent(event: ExecutionEvent | EventGap, out: GuestOutput, err: GuestOutput): void {
  switch (event.kind) {
    case 'output':
      (event.stream === 'stdout' ? out : err).write(event.text);
      return;
    case 'display':
      out.writeLine(String(event.data['text/plain'] ?? ''));
      return;
    case 'log':
      err.writeLine(`[${event.level}] ${event.text}`);
      return;
    case 'output.truncated':
      err.writeLine(`[output beyond ${event.limitBytes} bytes was dropped]`);
      return;
    case 'events.gap':
      err.writeLine(`[${event.toSeq - event.fromSeq + 1} events of the session were lost with the connection]`);
      return;
    case 'approval.requested':
      err.writeLine(
        `[${event.capability ?? 'the session'} waits for an administrator: pyrepl3 approvals show ${event.approvalId}]`,
      );
      return;
    case 'input.requested':
      return;
  }
}
