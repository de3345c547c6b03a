/** Holds what a policy file states against schemas, and gathers what is wrong with it, each problem with its place. */
import * as v from 'valibot';
import { printable, quoted, suggestion } from './nearest-name.ts';
import type { Path, Position, YamlSource } from './yaml-source.ts';

/** One thing that is wrong with a policy, for the person who has to put it right. */
export interface PolicyProblem {
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1, in UTF-16 units. */
  readonly column: number;
  /** What was expected and what was found. Holds no control characters. */
  readonly message: string;
  /** The place as a dotted path, e.g. `limits.heapMiBMax`; empty for the file as a whole. */
  readonly path: string;
}

/** A value that a policy file states, and where. */
export interface Stated<T> {
  readonly value: T;
  readonly at: Position;
}

type Mapping = Readonly<Record<string, unknown>>;
type MappingSchema = v.StrictObjectSchema<v.ObjectEntries, undefined>;

const MESSAGE_CHARS_MAX = 600;
const PATH_CHARS_MAX = 200;

/** A problem whose message is safe to print and not longer than a person reads. */
export function problemAt(file: string, at: Position, path: Path, message: string): PolicyProblem {
  return {
    file: printable(file),
    line: at.line,
    column: at.column,
    message: printable(message).slice(0, MESSAGE_CHARS_MAX),
    path: printable(path.join('.')).slice(0, PATH_CHARS_MAX),
  };
}

/** The problems of one file. */
export class Check {
  readonly problems: PolicyProblem[] = [];
  readonly #file: string;
  readonly #source: YamlSource;

  constructor(file: string, source: YamlSource) {
    this.#file = file;
    this.#source = source;
  }

  report(path: Path, part: 'key' | 'value', message: string): void {
    this.problems.push(problemAt(this.#file, this.#source.locate(path, part), path, message));
  }

  /** The entries that satisfy the schema; every other one is reported. null when it is no mapping at all. */
  mapping<S extends MappingSchema>(value: unknown, path: Path, schema: S): Partial<v.InferOutput<S>> | null {
    const known = Object.keys(schema.entries);
    if (!isMapping(value)) {
      this.report(path, 'value', `expected a mapping with ${known.join(', ')}; found ${found(value)}`);
      return null;
    }
    const entries = new Map(Object.entries(value));
    // Valibot stops at the first key that it does not know; a person wants to see all of them.
    for (const key of entries.keys()) {
      if (known.includes(key)) continue;
      this.report([...path, key], 'key', `${quoted(key)} is not a key here; ${suggestion(key, known)}`);
      entries.delete(key);
    }
    const parsed = v.safeParse(schema, Object.fromEntries(entries));
    if (parsed.success) return parsed.output;
    const refused = new Set<string>();
    for (const issue of parsed.issues) {
      const keys = issue.path?.map(({ key }) => (typeof key === 'number' ? key : String(key))) ?? [];
      const key = String(keys[0] ?? '');
      if (entries.has(key)) {
        refused.add(key);
        const { message, input, expected, type } = issue;
        const choices = type === 'picklist' ? expected : null;
        // A rule of the entry's own says what is wrong with it; the others say what they expect.
        const words =
          type === 'raw_check' ? `${found(input)} cannot stand here: ${message}` : mismatch(message, input, choices);
        this.report([...path, ...keys], 'value', words);
      } else {
        this.report(path, 'value', `"${key}" is missing here`);
      }
    }
    for (const key of refused) entries.delete(key);
    // Safe: an entry that the schema refused, or does not know, has been deleted above.
    return Object.fromEntries(entries) as Partial<v.InferOutput<S>>;
  }
}

function mismatch(expected: string, value: unknown, choices: string | null): string {
  const text = `expected ${expected}, found ${found(value)}`;
  if (typeof value !== 'string') return text;
  const digits = value.replaceAll('_', '');
  if (/^\d+$/.test(digits) && expected.startsWith('a whole number')) {
    return `${text}; write ${digits.slice(0, 20)}, without quotes or underscores, which make it a text in YAML`;
  }
  const names = choices?.match(/"[^"]*"/g)?.map((name) => name.slice(1, -1)) ?? [];
  return names.length > 0 ? `${text}; ${suggestion(value, names)}` : text;
}

export function found(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (typeof value === 'string') return `the text ${quoted(value)}`;
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'a mapping' : String(value);
}

export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
