import type { GuestBuiltins } from './builtins.ts';
import type { GuestGrants } from './grants.ts';
import type { GuestKernel } from './kernel.ts';

/** What a session is told about a capability. */
interface Doc {
  readonly name: string;
  readonly summary: string;
  readonly signature: string;
  readonly globals: readonly string[];
}

/**
 * `help()` prints what the session was given, and `help(fetch)`, `help('fetch')` what is known about one thing of it. About a
 * function of the user's it tells the head and the first line of comment in it.
 *
 * @returns what prints: `subject` is the arguments of `help`, `docs` JSON texts of lists of `Doc`, later ones replacing earlier ones
 */
export function makeHelp(
  kernel: GuestKernel,
  builtins: GuestBuiltins,
  session: {
    readonly grants: Pick<GuestGrants, 'capabilityOf'>;
    readonly isGranted: (name: string) => boolean;
    readonly outputs: () => readonly string[];
    readonly describe: (value: unknown) => string;
  },
): (subject: readonly unknown[], docs: ArrayLike<string>) => void {
  const LINES_MAX = 40;
  const HEAD_MAX = 200;
  const { own, min, parse, slice, indexOf, split, trim, functionText, describe } = builtins;
  const { global } = kernel;
  const outputSummaries = {
    __proto__: null,
    print: 'print(...values): writes a line to the standard output.',
    console: 'console: log, error, table and the others of its methods write to the standard streams.',
    display: 'display(value): shows a value, or a bundle of MIME types.',
    log: "log(level?, ...values): writes to the session's log.",
  } as unknown as Record<string, string>;

  function allDocs(texts: ArrayLike<string>): { length: number; [index: number]: Doc } {
    const found = { __proto__: null, length: 0 } as unknown as { length: number; [index: number]: Doc };
    for (let i = texts.length - 1; i >= 0; i--) {
      const docs = parse(texts[i] as string) as Doc[];
      for (let k = 0; k < docs.length; k++) {
        const doc = docs[k] as Doc;
        let known = !session.isGranted(doc.name);
        for (let j = 0; j < found.length; j++) known ||= (found[j] as Doc).name === doc.name;
        if (!known) found[found.length++] = doc;
      }
    }
    return found;
  }
  function docOf(docs: ArrayLike<Doc>, name: string): Doc | undefined {
    for (let i = 0; i < docs.length; i++) if ((docs[i] as Doc).name === name) return docs[i];
    for (let i = 0; i < docs.length; i++) {
      const { globals } = docs[i] as Doc;
      for (let k = 0; k < globals.length; k++) if (globals[k] === name) return docs[i];
    }
    return undefined;
  }

  function overview(docs: ArrayLike<Doc>): string {
    let width = 0;
    for (let i = 0; i < docs.length; i++) {
      const { length } = (docs[i] as Doc).name;
      if (length > width) width = length;
    }
    let text = docs.length === 0 ? 'This session was given no capabilities.\n' : 'This session was given:\n';
    for (let i = 0; i < docs.length; i++) {
      const { name, summary } = docs[i] as Doc;
      let padded = name;
      while (padded.length < width) padded += ' ';
      text += `  ${padded}  ${summary}\n`;
    }
    text += 'Output:\n';
    const outputs = session.outputs();
    for (let i = 0; i < outputs.length; i++) {
      const line = outputSummaries[outputs[i] as string];
      if (line !== undefined) text += `  ${line}\n`;
    }
    return `${text}  help(x): tells what is known about x, a value or a name.\n`;
  }

  function comment(line: string): string | undefined {
    if (slice(line, 0, 2) === '//') return trim(slice(line, 2));
    if (slice(line, 0, 2) !== '/*') return undefined;
    const end = indexOf(line, '*/');
    const text = trim(slice(line, slice(line, 2, 3) === '*' ? 3 : 2, end === -1 ? line.length : end));
    return text === '' ? undefined : text;
  }
  function firstComment(text: string): string | undefined {
    const lines = split(text, '\n');
    for (let i = 0; i < lines.length && i < LINES_MAX; i++) {
      const line = trim(lines[i] as string);
      const brace = i === 0 ? indexOf(line, '{') : -1;
      const found = comment(brace === -1 ? line : trim(slice(line, brace + 1)));
      if (found !== undefined) return found;
      // The first line of a block comment often stands under its opening.
      if (slice(line, 0, 2) === '/*' && i + 1 < lines.length) {
        const next = trim(lines[i + 1] as string);
        return trim(slice(next, 0, 1) === '*' ? slice(next, 1) : next);
      }
    }
    return undefined;
  }
  function aboutFunction(value: object): string {
    const name = own(describe(value, 'name'), 'value');
    const text = functionText(value);
    if (indexOf(text, '{ [native code] }') !== -1 || session.grants.capabilityOf(value) !== undefined)
      return `${typeof name === 'string' ? name : 'a function'}()\n`;
    const brace = indexOf(text, '{');
    const arrow = indexOf(text, '=>');
    const end = arrow !== -1 && (brace === -1 || arrow < brace) ? arrow + 2 : brace === -1 ? text.length : brace;
    const head = trim(slice(text, 0, min(end, HEAD_MAX)));
    const shown = typeof name === 'string' && name !== '' && indexOf(head, name) === -1 ? `${name}: ${head}` : head;
    const said = firstComment(text);
    return said === undefined ? `${shown}\n` : `${shown}\n  ${said}\n`;
  }
  function aboutValue(value: unknown): string {
    return typeof value === 'function' ? aboutFunction(value) : `${session.describe(value)}\n`;
  }

  return (subject, texts) => {
    const docs = allDocs(texts);
    let text: string;
    if (subject.length === 0) text = overview(docs);
    else {
      const value = subject[0];
      const name = typeof value === 'string' ? value : session.grants.capabilityOf(value);
      const doc = name === undefined ? undefined : docOf(docs, name);
      const named = typeof value === 'string' ? describe(global, value) : undefined;
      if (doc !== undefined) text = `${doc.signature}\n\n${doc.summary}\n`;
      else if (typeof value !== 'string') text = aboutValue(value);
      else if (outputSummaries[value] !== undefined && named !== undefined) text = `${outputSummaries[value]}\n`;
      else if (named === undefined) text = `Nothing of this session is called ${slice(value, 0, HEAD_MAX)}.\n`;
      else text = aboutValue(own(named, 'value'));
    }
    kernel.write('stdout', text);
  };
}
