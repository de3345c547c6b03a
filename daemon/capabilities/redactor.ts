/**
 * Takes the values of secrets out of what leaves a session: output, results, errors, the log.
 *
 * I1: a known value does not leave in its own form, nor escaped as in JSON or as a text is shown inside an object, in base64 or
 * percent-encoded, wherever the pieces of a stream are cut; of one of several lines, no line of some length does. Code that
 * was given a secret can still spell it some other way; redaction guards against accidents.
 * I2: while no value is known, every text passes as it is.
 */
import { inspect } from 'node:util';

/** A shorter value would be found in ordinary text, and tell by that what it is. */
const VALUE_CHARS_MIN = 4;
/** Of a line of a value, for the same reason; a line of a private key has 64. */
const LINE_CHARS_MIN = 16;
/** A secret that was replaced stays good for a while; what is older than this many replacements is not kept. */
const VALUES_OF_A_NAME_MAX = 4;
/** Deeper than any value that reaches the daemon. */
const JSON_DEPTH_MAX = 1000;

/** One spelling of a value. */
interface Needle {
  readonly text: string;
  readonly label: string;
  /**
   * For each length of a matched beginning, the longest shorter beginning that it ends with (Knuth, Morris, Pratt
   * 1977).
   */
  readonly fallbacks: Int32Array;
}

interface Span {
  readonly start: number;
  readonly end: number;
  /** Empty where the span goes on from an earlier piece, which has its label already. */
  readonly label: string;
}

/** Redacts a text that comes in pieces. */
export interface RedactingStream {
  /** What can leave now; the end of a piece that may be the beginning of a secret waits for the next piece. */
  push(text: string): string;
  /** What still waited: no more is coming. */
  flush(): string;
}

export class Redactor {
  readonly #values = new Map<string, readonly string[]>();
  #needles: readonly Needle[] = [];
  readonly #onAdded: (name: string, value: string) => void;

  /** @param onAdded is told of each value that was not known */
  constructor(onAdded: (name: string, value: string) => void = () => undefined) {
    this.#onAdded = onAdded;
  }

  /** What is known, by the names it was given. */
  get values(): readonly (readonly [name: string, value: string])[] {
    return [...this.#values].flatMap(([name, values]) => values.map((value) => [name, value] as const));
  }

  /** Values that were known before. */
  restore(values: readonly (readonly [name: string, value: string])[]): void {
    for (const [name, value] of values) this.#know(name, value);
  }

  /** From now on the value is replaced by `[redacted:NAME]`. Values of less than four characters are left alone. */
  add(name: string, value: string): void {
    if (this.#know(name, value)) this.#onAdded(name, value);
  }

  /** Whether that is new. */
  #know(name: string, value: string): boolean {
    const known = this.#values.get(name) ?? [];
    if (value.length < VALUE_CHARS_MIN || known.includes(value)) return false;
    this.#values.set(name, [...known, value].slice(-VALUES_OF_A_NAME_MAX));
    this.#needles = [...this.#values].flatMap(([of, values]) => values.flatMap((each) => needlesFor(of, each)));
    return true;
  }

  redact(text: string): string {
    return this.#needles.length === 0 ? text : replaced(text, spansIn(text, this.#needles), text.length);
  }

  /** JSON data with every text in it redacted, keys and numbers included. */
  redactJson(value: unknown): unknown {
    return this.#needles.length === 0 ? value : this.#redactedJson(value, 0);
  }

  stream(): RedactingStream {
    return new Stream(() => this.#needles);
  }

  #redactedJson(value: unknown, depth: number): unknown {
    if (typeof value === 'string') return this.redact(value);
    if (typeof value === 'number') {
      const redacted = this.redact(String(value));
      return redacted === String(value) ? value : redacted;
    }
    if (typeof value !== 'object' || value === null) return value;
    if (depth >= JSON_DEPTH_MAX) return '[redacted: nested too deep]';
    if (Array.isArray(value)) return value.map((item) => this.#redactedJson(item, depth + 1));
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [this.redact(key), this.#redactedJson(item, depth + 1)]),
    );
  }
}

class Stream implements RedactingStream {
  readonly #needles: () => readonly Needle[];
  /** The end of what came that may be the beginning of a secret. */
  #held = '';
  /** How much of it belongs to a secret whose label has left. */
  #covered = 0;
  /** How much of each needle the text so far ends with. */
  #matched = new Map<Needle, number>();

  constructor(needles: () => readonly Needle[]) {
    this.#needles = needles;
  }

  push(text: string): string {
    const needles = this.#needles();
    if (needles.length === 0) return text;
    const all = this.#held + text;
    const matched = new Map<Needle, number>();
    for (const needle of needles) {
      const before = this.#matched.get(needle);
      matched.set(needle, before === undefined ? matchedAfter(needle, 0, all) : matchedAfter(needle, before, text));
    }
    this.#matched = matched;
    return this.#leave(all, all.length - Math.max(...matched.values()), needles);
  }

  flush(): string {
    this.#matched.clear();
    return this.#leave(this.#held, this.#held.length, this.#needles());
  }

  /** Lets everything before `cut` leave. */
  #leave(all: string, cut: number, needles: readonly Needle[]): string {
    const spans = spansIn(all, needles, this.#covered);
    this.#held = all.slice(cut);
    const last = spans.findLast(({ start, label }) => start < cut || label === '');
    this.#covered = last === undefined ? 0 : Math.max(0, last.end - cut);
    return replaced(all, spans, cut);
  }
}

function needlesFor(name: string, value: string): readonly Needle[] {
  const label = `[redacted:${name}]`;
  const bytes = Buffer.from(value);
  const base64 = bytes.toString('base64');
  const lines = value.includes('\n') ? value.split(/\r?\n/).filter((line) => line.length >= LINE_CHARS_MIN) : [];
  const texts = [
    ...[value, ...lines].flatMap((text) => [text, JSON.stringify(text).slice(1, -1), shownInside(text)]),
    base64,
    base64.replaceAll('=', ''),
    bytes.toString('base64url'),
    encodeURIComponent(value.toWellFormed()),
    new URLSearchParams([['', value]]).toString().slice(1),
  ];
  return [...new Set(texts)].map((text) => ({ text, label, fallbacks: fallbacksOf(text) }));
}

/** As `console.log` and previews show a text that is inside of something else: its quotes are not needed to know it. */
function shownInside(text: string): string {
  return inspect(text, { breakLength: Number.POSITIVE_INFINITY, maxStringLength: null }).slice(1, -1);
}

function fallbacksOf(text: string): Int32Array {
  const fallbacks = new Int32Array(text.length);
  let matched = 0;
  for (let index = 1; index < text.length; index++) {
    while (matched > 0 && text[index] !== text[matched]) matched = fallbacks[matched - 1] ?? 0;
    if (text[index] === text[matched]) matched++;
    fallbacks[index] = matched;
  }
  return fallbacks;
}

/**
 * How much of the needle a text ends with, short of all of it, when what came before it ended with `matched` characters
 * of it.
 */
function matchedAfter({ text: needle, fallbacks }: Needle, before: number, text: string): number {
  let matched = before;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    while (matched > 0 && code !== needle.charCodeAt(matched)) matched = fallbacks[matched - 1] ?? 0;
    if (code === needle.charCodeAt(matched)) matched++;
    if (matched === needle.length) matched = fallbacks[matched - 1] ?? 0;
  }
  return matched;
}

/** Where the needles stand, those that overlap as one, in order. */
function spansIn(text: string, needles: readonly Needle[], covered = 0): readonly Span[] {
  const found = needles.flatMap((needle) => spansOf(text, needle));
  found.sort((one, other) => one.start - other.start || other.end - one.end);
  const spans: Span[] = covered > 0 ? [{ start: 0, end: covered, label: '' }] : [];
  for (const span of found) join(spans, span);
  return spans;
}

function spansOf(text: string, { text: needle, label }: Needle): Span[] {
  const spans: Span[] = [];
  for (let start = text.indexOf(needle); start !== -1; start = text.indexOf(needle, start + 1)) {
    join(spans, { start, end: start + needle.length, label });
  }
  return spans;
}

/** Adds a span that starts no earlier than the last one. */
function join(spans: Span[], span: Span): void {
  const last = spans.at(-1);
  if (last === undefined || span.start >= last.end) spans.push(span);
  else if (span.end > last.end) spans[spans.length - 1] = { ...last, end: span.end };
}

/** The text before `cut`, each span's label in its place. */
function replaced(text: string, spans: readonly Span[], cut: number): string {
  let result = '';
  let from = 0;
  for (const { start, end, label } of spans) {
    if (start >= cut) break;
    result += text.slice(from, start) + label;
    from = end;
  }
  return result + text.slice(from, Math.max(from, cut));
}
