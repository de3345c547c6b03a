/** Longer than any colour sequence that means something. */
const PARAMETERS_MAX = 64;

type State =
  | { readonly name: 'text' | 'escape' | 'skip-one' | 'string' | 'string-escape' }
  | { readonly name: 'control'; readonly parameters: string };

/**
 * Makes text that a guest wrote safe to print on a terminal: what is left of it is printable characters, newlines, tabs,
 * and, where colours are on, colour sequences (SGR). Everything else that a terminal obeys is taken out: cursor
 * movement, titles, the clipboard (OSC 52), queries that the terminal would answer into the user's shell, carriage
 * returns that overwrite a line, in the 7-bit and the 8-bit form of ECMA-48.
 *
 * It is given a stream piece by piece. Invariant: the output does not depend on where the pieces are cut, and no
 * sequence survives by being cut in two.
 */
export class TerminalFilter {
  readonly #colours: boolean;
  #state: State = { name: 'text' };
  #coloured = false;

  constructor(options: { readonly colours: boolean }) {
    this.#colours = options.colours;
  }

  filter(text: string): string {
    // Nearly all output is plain; it is passed on as it is.
    if (this.#state.name === 'text' && !/[\0-\x08\x0b-\x1f\x7f-\x9f]/.test(text)) return text;
    let out = '';
    for (const character of text) out += this.#step(character);
    return out;
  }

  /** Ends the stream: what puts the terminal's colours back, where the guest had changed them. */
  end(): string {
    const reset = this.#coloured ? '\x1b[0m' : '';
    this.#coloured = false;
    this.#state = { name: 'text' };
    return reset;
  }

  #step(character: string): string {
    const state = this.#state;
    switch (state.name) {
      case 'text':
        return this.#text(character);
      case 'escape':
        this.#state = afterEscape(character);
        return '';
      case 'skip-one':
        this.#state = { name: 'text' };
        return isControl(character) ? this.#text(character) : '';
      case 'control':
        return this.#control(character, state.parameters);
      case 'string':
        return this.#string(character);
      case 'string-escape':
        // ESC \ ends the string; any other ESC starts a sequence of its own.
        this.#state = character === '\\' ? { name: 'text' } : afterEscape(character);
        return '';
    }
  }

  #text(character: string): string {
    this.#state = { name: 'text' };
    if (character === '\n' || character === '\t') return character;
    if (!isControl(character)) return character;
    if (character === '\x1b') this.#state = { name: 'escape' };
    else if (character === '\x9b') this.#state = { name: 'control', parameters: '' };
    else if (/[\x90\x98\x9d-\x9f]/.test(character)) this.#state = { name: 'string' };
    return '';
  }

  #control(character: string, parameters: string): string {
    if (isControl(character)) return this.#text(character);
    if (character >= '@' && character <= '~') {
      this.#state = { name: 'text' };
      if (character !== 'm' || !this.#colours || !/^[\d;:]*$/.test(parameters)) return '';
      this.#coloured = true;
      return `\x1b[${parameters}m`;
    }
    // Beyond what an honest sequence needs the parameters are not kept, only skipped; "?" makes them no colour.
    this.#state = { name: 'control', parameters: parameters.length < PARAMETERS_MAX ? parameters + character : '?' };
    return '';
  }

  #string(character: string): string {
    // A newline ends it too: an unterminated title must not swallow all the output that follows.
    if (character === '\x07' || character === '\x9c') this.#state = { name: 'text' };
    else if (character === '\x1b') this.#state = { name: 'string-escape' };
    else if (character === '\n') return this.#text(character);
    return '';
  }
}

/** All of a text at once, without colours. */
export function plainText(text: string): string {
  return new TerminalFilter({ colours: false }).filter(text);
}

function afterEscape(character: string): State {
  if (character === '[') return { name: 'control', parameters: '' };
  if (/[PX\]^_]/.test(character)) return { name: 'string' };
  if (character === '\x1b') return { name: 'escape' };
  // Intermediate characters (as in ESC ( B) take one more; everything else is a sequence of two.
  return character >= ' ' && character <= '/' ? { name: 'skip-one' } : { name: 'text' };
}

function isControl(character: string): boolean {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x20 || (code >= 0x7f && code <= 0x9f);
}
