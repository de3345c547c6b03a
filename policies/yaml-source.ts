/**
 * One YAML text as plain data that remembers where everything stands, so that a later check can point at it.
 *
 * Mappings become objects without a prototype. Aliases are refused: a policy should say what it grants on the line
 * where it grants it, and without aliases no text grows when it is read.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type ParsedNode, parseDocument } from 'yaml';

/** Counted from 1; columns in UTF-16 units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

interface YamlProblem {
  readonly at: Position;
  readonly message: string;
}

export type Path = readonly (string | number)[];

export interface YamlSource {
  readonly value: unknown;
  /** Where the key at the end of the path stands, or its value; where the path ends early, the nearest thing on it. */
  locate(path: Path, part: 'key' | 'value'): Position;
}

type YamlReading =
  | { readonly ok: true; readonly source: YamlSource }
  | { readonly ok: false; readonly problems: readonly YamlProblem[] };

/** A level file of this project is under 3 KiB; the cap bounds the time that parsing takes. */
const FILE_BYTES_MAX = 256 * 1024;
/** A policy is three mappings deep; the cap keeps recursion far from the end of the stack. */
const DEPTH_MAX = 32;

/** Where the library speaks to a programmer, or of itself, what it means for the person who writes the file. */
const SYNTAX_MESSAGES: ReadonlyMap<string, string> = new Map([
  ['MULTIPLE_DOCS', 'a policy file is one document; remove the line "---" and what belongs to another document'],
  ['RESOURCE_EXHAUSTION', 'this is nested too deeply'],
]);

const START: Position = { line: 1, column: 1 };

/** Reads one YAML document; reports every problem of its syntax, and never throws. */
export function readYaml(text: string): YamlReading {
  if (text.length > FILE_BYTES_MAX || new TextEncoder().encode(text).length > FILE_BYTES_MAX) {
    return { ok: false, problems: [{ at: START, message: `the file is larger than ${FILE_BYTES_MAX} bytes` }] };
  }
  try {
    return readDocument(text);
  } catch (error) {
    // The parser recurses by nesting, so a hostile text can exhaust its stack; that is the text's fault, not ours.
    const why = error instanceof RangeError ? 'nested too deeply' : String(error);
    return { ok: false, problems: [{ at: START, message: `this is not YAML that can be read: ${why}` }] };
  }
}

function readDocument(text: string): YamlReading {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    merge: false,
    resolveKnownTags: false,
    stringKeys: true,
    // The library compares every key with every other one; `Converter` finds duplicates in linear time.
    uniqueKeys: false,
    prettyErrors: false,
    // At 'silent' the library drops a second document without a word.
    logLevel: 'error',
    lineCounter,
  });
  const positionOf = (offset: number): Position => {
    const { line, col } = lineCounter.linePos(offset);
    // Before the first newline that it was told of, the counter answers with line 0 and a column from 0.
    return line === 0 ? { line: 1, column: col + 1 } : { line, column: col };
  };
  const syntax = [...document.errors, ...document.warnings].map((error) => ({
    at: positionOf(error.pos[0]),
    message: `this is not valid YAML: ${SYNTAX_MESSAGES.get(error.code) ?? error.message}`,
  }));
  if (syntax.length > 0) return { ok: false, problems: syntax };
  const converter = new Converter(positionOf);
  const value = converter.convert(document.contents, 0);
  if (converter.problems.length > 0) return { ok: false, problems: converter.problems };
  const rootAt = document.contents?.range ? positionOf(document.contents.range[0]) : START;
  return {
    ok: true,
    source: { value, locate: (path, part) => converter.locate(value, rootAt, path, part) },
  };
}

interface Place {
  readonly key: Position;
  readonly value: Position;
  readonly content: unknown;
}

/** Owns the places of one document's contents, by the container that holds them. */
class Converter {
  readonly problems: YamlProblem[] = [];
  readonly #places = new WeakMap<object, Map<string | number, Place>>();
  readonly #positionOf: (offset: number) => Position;

  constructor(positionOf: (offset: number) => Position) {
    this.#positionOf = positionOf;
  }

  convert(node: ParsedNode | null, depth: number): unknown {
    if (node === null) return null;
    if (isScalar(node)) return node.value;
    if (isAlias(node))
      return this.#refuse(node, `aliases are refused in policy files: write the value of *${node.source} out instead`);
    if (depth >= DEPTH_MAX) return this.#refuse(node, `this is nested more than ${DEPTH_MAX} deep`);
    const places = new Map<string | number, Place>();
    if (isSeq<ParsedNode>(node)) {
      const items = node.items.map((item, index) => {
        const content = this.convert(item, depth + 1);
        const at = this.#at(item) ?? this.#at(node) ?? START;
        places.set(index, { key: at, value: at, content });
        return content;
      });
      this.#places.set(items, places);
      return items;
    }
    const mapping: Record<string, unknown> = Object.create(null);
    if (!isMap<ParsedNode, ParsedNode | null>(node)) return mapping;
    for (const { key, value } of node.items) {
      const content = this.convert(value, depth + 1);
      if (!isScalar(key) || typeof key.value !== 'string') {
        this.#refuse(key, 'a key must be plain text');
        continue;
      }
      const keyAt = this.#at(key) ?? START;
      const first = places.get(key.value);
      if (first !== undefined) {
        this.#refuse(key, `this key is already given on line ${first.key.line}`);
        continue;
      }
      places.set(key.value, { key: keyAt, value: this.#at(value) ?? keyAt, content });
      mapping[key.value] = content;
    }
    this.#places.set(mapping, places);
    return mapping;
  }

  locate(root: unknown, rootAt: Position, path: Path, part: 'key' | 'value'): Position {
    let at = rootAt;
    let container = root;
    for (const [index, step] of path.entries()) {
      const places = typeof container === 'object' && container !== null ? this.#places.get(container) : undefined;
      const place = places?.get(step);
      if (place === undefined) return at;
      // Where the path ends before its last step, the key of what was reached says more than where its value starts.
      at = index === path.length - 1 && part === 'value' ? place.value : place.key;
      container = place.content;
    }
    return at;
  }

  #at(node: ParsedNode | null): Position | null {
    return node?.range ? this.#positionOf(node.range[0]) : null;
  }

  #refuse(node: ParsedNode | null, message: string): null {
    this.problems.push({ at: this.#at(node) ?? START, message });
    return null;
  }
}
