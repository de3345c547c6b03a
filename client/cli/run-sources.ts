import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { LANGUAGES, type Language } from '../protocol.ts';
import { usageError } from './cli-error.ts';

export interface SourceOptions {
  readonly lang?: Language;
  readonly eval?: string;
  readonly cells?: string;
}

export interface Sources {
  readonly cells: readonly string[];
  readonly language: Language;
  /** Stdin is the source, so nothing is left of it for `input()`. */
  readonly fromStdin: boolean;
  /** The command line as the program sees it; null for a list of cells, which has none. */
  readonly argv: readonly string[] | null;
}

const EXTENSIONS: Readonly<Record<string, Language>> = {
  '.py': 'python',
  ...{ '.ts': 'typescript', '.mts': 'typescript', '.cts': 'typescript' },
  ...{ '.js': 'javascript', '.mjs': 'javascript', '.cjs': 'javascript' },
};
/** As Python calls a source that was given on its command line. */
const COMMAND = '-c';

/**
 * What `run` is to run. Fails as wrong usage where that is not exactly one thing, or cannot be read.
 *
 * @param words the file and what is meant for the program in it; of a source that is given by an option, only the latter
 */
export async function readSources(
  words: readonly string[],
  { lang, eval: source, cells }: SourceOptions,
  stdin: Readable,
): Promise<Sources> {
  const [file, ...args] = words;
  if (source !== undefined && cells !== undefined) throw howToRun('more than one thing to run');
  if (source !== undefined)
    return { cells: [source], language: lang ?? 'javascript', fromStdin: false, argv: [COMMAND, ...words] };
  if (cells !== undefined) {
    if (words.length > 0) throw usageError('--cells takes no file and no arguments for a program');
    const text = await readText(cells, stdin);
    const language = lang ?? languageOf(cells, '');
    return { cells: parseCells(cells, text), language, fromStdin: cells === '-', argv: null };
  }
  if (file === undefined) throw howToRun('nothing to run');
  const text = await readText(file, stdin);
  const language = lang ?? languageOf(file, text);
  return { cells: [text], language, fromStdin: file === '-', argv: [file, ...args] };
}

const howToRun = (what: string): Error =>
  usageError(`${what}: give one of FILE, - (stdin), -e SOURCE or --cells FILE.json`);

/** By the extension of the file, or else by its first line, where that names an interpreter. */
function languageOf(file: string, text: string): Language {
  return EXTENSIONS[extname(file)] ?? languageOfShebang(text) ?? 'javascript';
}

function languageOfShebang(text: string): Language | undefined {
  const line = /^#!(.*)/.exec(text)?.[1];
  if (line === undefined) return undefined;
  const asked = /(?:^|\s)--lang[= ](\w+)/.exec(line)?.[1];
  const interpreters = line.split(/[\s/]+/);
  if (asked === undefined && interpreters.some((word) => /^python[\d.]*$/.test(word))) return 'python';
  return LANGUAGES.find((language) => language === asked);
}

async function readText(path: string, stdin: Readable): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = path === '-' ? await buffer(stdin) : await readFile(path);
  } catch (error) {
    throw usageError(`cannot read ${path}: ${(error as Error).message}`);
  }
  if (!isUtf8(bytes)) throw usageError(`cannot read ${path}: it is not UTF-8 text`);
  return bytes.toString();
}

function parseCells(path: string, text: string): readonly string[] {
  let cells: unknown;
  try {
    cells = JSON.parse(text);
  } catch (error) {
    throw usageError(`${path} is not JSON: ${(error as Error).message}`);
  }
  if (Array.isArray(cells) && cells.every((cell) => typeof cell === 'string')) return cells;
  throw usageError(`${path} must hold a JSON array of strings, the source of one cell each`);
}
