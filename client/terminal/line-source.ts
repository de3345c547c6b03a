import { clearScreenDown, createInterface, cursorTo, type Interface, moveCursor } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

/** Lines that arrived before anybody asked for them; a pipe is paused at this many. */
const LINES_AHEAD_MAX = 100;

export type Completer = (line: string) => Promise<{ readonly matches: readonly string[]; readonly replaced: string }>;

export interface LineSourceOptions {
  readonly input: Readable;
  /** Where an editor echoes; without it lines are read as they come. */
  readonly editor?: {
    readonly output: Writable;
    /** Adds colours to a line, and nothing that takes room; null where there are to be none. */
    readonly highlight: ((line: string) => string) | null;
    readonly complete: Completer;
    /** Newest first. */
    readonly history: readonly string[];
    readonly historyLinesMax: number;
    /** Ctrl-C, which a terminal in raw mode gives as a key. */
    readonly onInterrupt: () => void;
  };
}

/**
 * The lines of an input, one for each time it is asked, with a line editor where the input is a terminal.
 *
 * Owns the input while it is open. Invariant: lines are handed out in order and none is lost, however early it came.
 */
export class LineSource {
  readonly #interface: Interface;
  readonly #editor: LineSourceOptions['editor'];
  readonly #lines: string[] = [];
  #waiting: ((line: string | null) => void) | null = null;
  #secret = false;
  #ended = false;

  constructor({ input, editor }: LineSourceOptions) {
    this.#editor = editor;
    this.#interface = createInterface({
      input,
      crlfDelay: Number.POSITIVE_INFINITY,
      terminal: editor !== undefined,
      ...(editor && {
        output: editor.output,
        history: [...editor.history],
        historySize: editor.historyLinesMax,
        removeHistoryDuplicates: true,
        completer: (line: string, callback: Parameters<AsyncCompleter>[1]) => {
          editor.complete(line).then(
            ({ matches, replaced }) => callback(null, [[...matches], replaced]),
            () => callback(null, [[], line]),
          );
        },
      }),
    });
    this.#interface.on('line', (line) => this.#onLine(line));
    this.#interface.on('close', () => this.#onClose());
    if (editor) this.#edit(input, editor);
  }

  /**
   * The next line without its newline, or null when the input has ended. With `secret` it is kept out of the history.
   * Rejects with the signal's reason; the line is then the next one's.
   */
  async next(
    prompt: string,
    options: { readonly signal?: AbortSignal; readonly secret?: boolean } = {},
  ): Promise<string | null> {
    options.signal?.throwIfAborted();
    const line = this.#lines.shift();
    if (line !== undefined) return line;
    if (this.#ended) return null;
    this.#secret = options.secret ?? false;
    this.prompt(prompt);
    this.#interface.resume();
    const { promise, resolve, reject } = Promise.withResolvers<string | null>();
    this.#waiting = resolve;
    const onAbort = (): void => {
      this.#waiting = null;
      reject(options.signal?.reason);
    };
    options.signal?.addEventListener('abort', onAbort, { once: true });
    return promise.finally(() => options.signal?.removeEventListener('abort', onAbort));
  }

  /** Whether somebody is at the prompt. */
  get prompting(): boolean {
    return this.#waiting !== null;
  }

  /** What has been typed of the line so far. */
  get line(): string {
    return this.#interface.line ?? '';
  }

  /** Shows the prompt, with what has been typed. */
  prompt(prompt: string): void {
    if (!this.#editor) return;
    this.#interface.setPrompt(prompt);
    this.#interface.prompt(true);
    this.#colour();
  }

  /** Forgets what has been typed and goes to a new line. */
  discardLine(): void {
    if (!this.#editor) return;
    this.#interface.write(null, { ctrl: true, name: 'e' });
    this.#editor.output.write('\n');
    this.#interface.write(null, { ctrl: true, name: 'u' });
  }

  /** Writes above the prompt, which then follows with what has been typed. */
  writeAbove(write: () => void): void {
    if (!this.#editor || !this.prompting) {
      write();
      return;
    }
    const { rows } = this.#interface.getCursorPos();
    moveCursor(this.#editor.output, 0, -rows);
    cursorTo(this.#editor.output, 0);
    clearScreenDown(this.#editor.output);
    write();
    this.#interface.prompt(true);
    this.#colour();
  }

  close(): void {
    this.#interface.close();
  }

  #edit(input: Readable, editor: NonNullable<LineSourceOptions['editor']>): void {
    this.#interface.on('SIGINT', editor.onInterrupt);
    this.#interface.on('history', (history) => {
      if (this.#secret) history.shift();
    });
    // The editor has its own listener for keys already, so at this one the line is as the key has made it.
    if (editor.highlight) input.on('keypress', () => this.#colour());
  }

  /** Writes the line once more, in colours, over itself: the cursor and the layout stay what the editor made them. */
  #colour(): void {
    const { line } = this;
    if (!this.#editor?.highlight || this.#ended || this.#secret || line === '') return;
    const { rows } = this.#interface.getCursorPos();
    const up = rows === 0 ? '' : `\x1b[${rows}A`;
    this.#editor.output.write(`\x1b7${up}\r${this.#interface.getPrompt()}${this.#editor.highlight(line)}\x1b8`);
  }

  #onLine(line: string): void {
    const resolve = this.#waiting;
    this.#waiting = null;
    this.#secret = false;
    if (resolve) resolve(line);
    else this.#lines.push(line);
    // A terminal must go on being read: Ctrl-C is one of its keys.
    if (!this.#editor && this.#lines.length >= LINES_AHEAD_MAX) this.#interface.pause();
  }

  #onClose(): void {
    this.#ended = true;
    this.#waiting?.(null);
    this.#waiting = null;
  }
}

type AsyncCompleter = (line: string, callback: (error: null, result: [string[], string]) => void) => void;
