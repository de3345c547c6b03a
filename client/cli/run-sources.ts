import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { Language } from '../protocol.ts';
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
}

const TYPESCRIPT_EXTENSIONS = ['.ts', '.mts', '.cts'];

/** What `run` is to run. Fails as wrong usage where that is not exactly one thing, or cannot be read. */
export async function readSources(file: string | undefined, options: SourceOptions, stdin: Readable): Promise<Sources> {
  const given = [file, options.eval, options.cells].filter((one) => one !== undefined);
  if (given.length !== 1) {
    const what = given.length === 0 ? 'nothing to run' : 'more than one thing to run';
    throw usageError(`${what}: give one of FILE, - (stdin), -e SOURCE or --cells FILE.json`);
  }
  const language = options.lang ?? languageOf(file);
  if (options.eval !== undefined) return { cells: [options.eval], language, fromStdin: false };
  const path = file ?? options.cells ?? '';
  const text = await readText(path, stdin);
  return { cells: file === undefined ? parseCells(path, text) : [text], language, fromStdin: path === '-' };
}

function languageOf(file: string | undefined): Language {
  const extension = file === undefined ? '' : extname(file);
  if (extension === '.py') return 'python';
  return TYPESCRIPT_EXTENSIONS.includes(extension) ? 'typescript' : 'javascript';
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
