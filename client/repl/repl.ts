import type { Client } from '../client.ts';
import type { EventGap } from '../event-buffer.ts';
import type { Execution } from '../execution.ts';
import type { ExecutionResult, SessionEvent } from '../protocol.ts';
import type { Session } from '../session.ts';
import { GuestOutput, printEvent, type TextSink } from '../terminal/guest-output.ts';
import type { Completer, LineSource } from '../terminal/line-source.ts';
import { renderError, renderForRepl } from '../terminal/render.ts';
import { plainText } from '../terminal/terminal-filter.ts';
import { isDotCommand, runDotCommand } from './dot-commands.ts';
import type { History } from './history.ts';

const PROMPT = '> ';
const PYTHON_PROMPT = '>>> ';
const CONTINUATION = '... ';
/** For `.save`; older cells are forgotten. */
const SOURCES_MAX = 1000;

export interface ReplOptions {
  readonly client: Pick<Client, 'hello' | 'on'>;
  readonly session: Session;
  readonly out: TextSink;
  readonly err: TextSink;
  /** Null where the lines come from no terminal: then nothing is kept. */
  readonly history: History | null;
}

/**
 * The loop at the terminal: reads a cell, runs it, prints it.
 *
 * Owns the cell that is being typed and the one that is running. Invariants: one cell runs at a time; whatever the guest
 * wrote passes a filter before it reaches the terminal; what is printed while somebody types appears above their line.
 */
export class Repl {
  readonly #options: ReplOptions;
  readonly #session: Session;
  readonly #out: GuestOutput;
  readonly #err: GuestOutput;
  readonly #sources: string[] = [];
  #lines: LineSource | null = null;
  #typed: string[] = [];
  #running: Execution | null = null;
  /** Ctrl-C at an empty prompt was the last thing that happened; once more leaves. */
  #leaving = false;
  #exited = false;

  constructor(options: ReplOptions) {
    this.#options = options;
    this.#session = options.session;
    this.#out = new GuestOutput(options.out);
    this.#err = new GuestOutput(options.err);
  }

  /** Runs until the lines end, `.exit`, or the session does. */
  async run(lines: LineSource): Promise<void> {
    this.#lines = lines;
    const { client } = this.#options;
    const removers = [
      client.on('disconnected', ({ message }) => this.#note(`${message}; trying to reconnect`)),
      client.on('reconnected', () => this.#note('connected again')),
      client.on('closed', (reason) => {
        if (reason) this.#note(reason.message);
        this.exit();
      }),
      this.#session.onInput(({ prompt, signal }) => this.#readInput(prompt, signal)),
    ];
    const events = this.#session.events();
    const watching = this.#watch(events);
    try {
      while (!this.#exited && (await this.#step(lines)));
    } finally {
      for (const remove of removers) remove();
      lines.close();
      // A session that has ended says why before the loop is left; one that goes on has nothing more to say here.
      if (!this.#session.closed) await events.return?.();
      await watching;
    }
  }

  /** Ctrl-C: interrupts the running cell, or clears the line, or, twice at an empty prompt, leaves. */
  interrupt(): void {
    if (this.#running) {
      this.#running.interrupt().catch(() => undefined);
      return;
    }
    const empty = this.#typed.length === 0 && (this.#lines?.line ?? '') === '';
    this.#typed = [];
    this.#lines?.discardLine();
    if (empty && this.#leaving) {
      this.exit();
      return;
    }
    this.#leaving = empty;
    if (empty) this.#err.writeLine('(Ctrl-C once more, Ctrl-D or .exit leaves)');
    this.#lines?.prompt(this.#prompt);
  }

  get #prompt(): string {
    return this.#session.info.language === 'python' ? PYTHON_PROMPT : PROMPT;
  }

  exit(): void {
    this.#exited = true;
    this.#lines?.close();
  }

  /** What Tab offers for the line being typed: only names that are safe to show. */
  readonly complete: Completer = async (line) => {
    const before = this.#typed.map((typed) => `${typed}\n`).join('');
    if (this.#running || isDotCommand(line)) return { matches: [], replaced: line };
    const source = before + line;
    const { matches, start, end } = await this.#session.complete(source);
    return { matches: matches.filter((match) => plainText(match) === match), replaced: source.slice(start, end) };
  };

  /** One line; false when there are no more. */
  async #step(lines: LineSource): Promise<boolean> {
    const line = await lines.next(this.#typed.length === 0 ? this.#prompt : CONTINUATION);
    if (line === null) {
      // Input that ends in the middle of a cell: what is wrong with it is for the session to say.
      if (!this.#exited && this.#typed.length > 0) await this.#execute(this.#takeTyped());
      return false;
    }
    this.#leaving = false;
    this.#options.history?.add(line);
    if (this.#typed.length === 0 && isDotCommand(line)) {
      await this.#command(line);
      return true;
    }
    this.#typed.push(line);
    const source = this.#typed.join('\n');
    if (source.trim() === '') this.#typed = [];
    else if (!(await this.#isIncomplete(source))) await this.#execute(this.#takeTyped());
    return true;
  }

  async #isIncomplete(source: string): Promise<boolean> {
    try {
      return (await this.#session.isComplete(source)) === 'incomplete';
    } catch {
      // Running it will say what is the matter.
      return false;
    }
  }

  #takeTyped(): string {
    const source = this.#typed.join('\n');
    this.#typed = [];
    return source;
  }

  async #execute(source: string): Promise<void> {
    this.#sources.push(source);
    if (this.#sources.length > SOURCES_MAX) this.#sources.shift();
    this.#running = this.#session.execute(source, { onOutput: (event) => printEvent(event, this.#out, this.#err) });
    try {
      this.#show(await this.#running);
    } catch (error) {
      this.#complain(error);
    } finally {
      this.#running = null;
    }
  }

  #show({ error, value }: ExecutionResult): void {
    if (error) this.#err.writeLine(renderError(error));
    else if (value) {
      const { language } = this.#session.info;
      const text = renderForRepl(value, { colours: this.#options.out.colours, language });
      if (text !== null) this.#out.writeLine(text);
    }
  }

  async #command(line: string): Promise<void> {
    try {
      await runDotCommand(line, {
        session: this.#session,
        levels: this.#options.client.hello.levels,
        sources: this.#sources,
        print: (text) => this.#out.writeLine(text),
        execute: (source) => this.#execute(source),
        exit: () => this.exit(),
      });
    } catch (error) {
      this.#complain(error);
    }
  }

  async #readInput(prompt: string, signal: AbortSignal): Promise<string | null> {
    // An answer may be a password, which has no place in the history.
    return (await this.#lines?.next(plainText(prompt), { signal, secret: true })) ?? null;
  }

  /** What happens beside the running cell: late output, the loss of the state, the end of the session. */
  async #watch(events: AsyncIterable<SessionEvent | EventGap>): Promise<void> {
    try {
      for await (const event of events) this.#onEvent(event);
    } catch (error) {
      this.#note(error instanceof Error ? error.message : String(error));
      this.exit();
    }
  }

  #onEvent(event: SessionEvent | EventGap): void {
    switch (event.kind) {
      case 'session.lost':
        this.#note(`${event.message} [${event.code}]\nEverything declared so far is lost; the session goes on empty.`);
        return;
      case 'session.closed':
        this.#note(`the session has ended: ${event.reason}`);
        this.exit();
        return;
      case 'output':
      case 'output.truncated':
      case 'display':
      case 'log':
        // What belongs to a running cell is printed by that; this is what timers write after it.
        if (event.executionId === null) this.#above(() => printEvent(event, this.#out, this.#err));
        return;
      default:
        return;
    }
  }

  #note(text: string): void {
    this.#above(() => this.#err.writeLine(text));
  }

  #complain(error: unknown): void {
    const code = error instanceof Error && 'code' in error ? ` [${String(error.code)}]` : '';
    this.#err.writeLine(`${error instanceof Error ? error.message : String(error)}${code}`);
  }

  #above(write: () => void): void {
    if (this.#lines) this.#lines.writeAbove(write);
    else write();
  }
}
