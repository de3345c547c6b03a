/** One level file: its text as what it states, each statement with its place, and everything that is wrong in it. */
import * as v from 'valibot';
import { CAPABILITY_NAMES, type CapabilityName, CONSTRAINT_SCHEMAS, type Constraints } from './capabilities.ts';
import { expectedLimit, isLimitValue, LIMIT_NAMES, type LimitName } from './limits.ts';
import { printable, quoted, suggestion } from './nearest-name.ts';
import { LEVELS, type LevelName } from './policy.ts';
import { type Path, type Position, readYaml, type YamlSource } from './yaml-source.ts';

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

/** A value that a level file states, and where. */
export interface Stated<T> {
  readonly value: T;
  readonly at: Position;
}

/** What a level file states, as far as it could be understood; a part that could not is absent and reported. */
export interface LevelFile {
  readonly file: string;
  readonly name: Stated<LevelName>;
  readonly rank: Stated<number> | null;
  readonly description: string;
  /** `null` states none; `'unclear'` is a value that was refused. */
  readonly extends: Stated<LevelName> | null | 'unclear';
  /** `false` takes the capability away. */
  readonly grants: ReadonlyMap<CapabilityName, Stated<Constraints | false>>;
  readonly limits: ReadonlyMap<LimitName, Stated<number>>;
  /** Whether every limit of the file was understood, so that one that is absent was not stated at all. */
  readonly limitsClear: boolean;
}

interface LevelFileReading {
  /** null when not even the level's name could be read. */
  readonly level: LevelFile | null;
  readonly problems: readonly PolicyProblem[];
}

const MESSAGE_CHARS_MAX = 600;
const PATH_CHARS_MAX = 200;
const RANK_MAX = 1_000_000;
const RANK_EXPECTED = `a whole number from 0 to ${RANK_MAX}`;
const DESCRIPTION_CHARS_MAX = 500;
const DESCRIPTION_EXPECTED = `a text of 1 to ${DESCRIPTION_CHARS_MAX} characters`;
const levelName = v.picklist(LEVELS, 'the name of a level');

const fileSchema = v.strictObject({
  level: levelName,
  rank: v.pipe(
    v.number(RANK_EXPECTED),
    v.check((rank) => Number.isSafeInteger(rank) && rank >= 0 && rank <= RANK_MAX, RANK_EXPECTED),
  ),
  extends: v.exactOptional(levelName),
  description: v.pipe(
    v.string(DESCRIPTION_EXPECTED),
    v.check((text) => text.trim().length > 0 && text.length <= DESCRIPTION_CHARS_MAX, DESCRIPTION_EXPECTED),
  ),
  grants: v.exactOptional(v.unknown()),
  limits: v.exactOptional(v.unknown()),
});

const limitEntry = (name: LimitName) =>
  v.exactOptional(v.custom<number>((value) => isLimitValue(name, value), expectedLimit(name)));

const limitsSchema = v.strictObject({
  heapMiBMax: limitEntry('heapMiBMax'),
  cellCpuMsMax: limitEntry('cellCpuMsMax'),
  cellWallMsMax: limitEntry('cellWallMsMax'),
  cellOutputBytesMax: limitEntry('cellOutputBytesMax'),
  queueLengthMax: limitEntry('queueLengthMax'),
  sessionsMax: limitEntry('sessionsMax'),
  valueBytesMax: limitEntry('valueBytesMax'),
  pendingCallsMax: limitEntry('pendingCallsMax'),
  timersMax: limitEntry('timersMax'),
  sourceBytesMax: limitEntry('sourceBytesMax'),
});

type Mapping = Readonly<Record<string, unknown>>;
type MappingSchema = v.StrictObjectSchema<v.ObjectEntries, undefined>;

/** Reads one level file. Never throws, whatever the text. */
export function readLevelFile(file: string, text: string): LevelFileReading {
  const reading = readYaml(text);
  if (!reading.ok) {
    const problems = reading.problems.map(({ at, message }) => problemAt(file, at, [], message));
    return { level: null, problems };
  }
  const check = new Check(file, reading.source);
  const level = readLevel(check, file, reading.source);
  return { level, problems: check.problems };
}

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

function readLevel(check: Check, file: string, source: YamlSource): LevelFile | null {
  const top = check.mapping(source.value, [], fileSchema);
  if (top === null) return null;
  const at = (path: Path): Position => source.locate(path, 'value');
  const grants = readGrants(check, source, top.grants);
  const limits = new Map<LimitName, Stated<number>>();
  const problemsBeforeLimits = check.problems.length;
  const stated = 'limits' in top ? check.mapping(top.limits, ['limits'], limitsSchema) : {};
  for (const name of LIMIT_NAMES) {
    const value = stated?.[name];
    if (value !== undefined) limits.set(name, { value, at: at(['limits', name]) });
  }
  if (top.level === undefined) return null;
  const extendsStated = typeof source.value === 'object' && source.value !== null && 'extends' in source.value;
  const parent = top.extends === undefined ? null : { value: top.extends, at: at(['extends']) };
  return {
    file,
    name: { value: top.level, at: at(['level']) },
    rank: top.rank === undefined ? null : { value: top.rank, at: at(['rank']) },
    description: top.description ?? '',
    extends: parent ?? (extendsStated ? 'unclear' : null),
    grants,
    limits,
    limitsClear: check.problems.length === problemsBeforeLimits,
  };
}

function readGrants(check: Check, source: YamlSource, value: unknown): LevelFile['grants'] {
  const grants = new Map<CapabilityName, Stated<Constraints | false>>();
  if (value === undefined) return grants;
  if (!isMapping(value)) {
    check.report(['grants'], 'value', `expected a mapping of capability names, found ${found(value)}`);
    return grants;
  }
  for (const [name, grant] of Object.entries(value)) {
    const path = ['grants', name];
    if (!isCapabilityName(name)) {
      check.report(path, 'key', `${quoted(name)} is not a known capability; ${suggestion(name, CAPABILITY_NAMES)}`);
      continue;
    }
    const at = source.locate(path, 'key');
    if (grant === false) {
      grants.set(name, { value: false, at });
      continue;
    }
    const constraints = readConstraints(check, path, name, grant);
    if (constraints !== null) grants.set(name, { value: constraints, at });
  }
  return grants;
}

function readConstraints(check: Check, path: Path, name: CapabilityName, grant: unknown): Constraints | null {
  const schema = CONSTRAINT_SCHEMAS[name];
  const keys = Object.keys(schema.entries);
  const bare = keys.length === 0;
  if (grant === true && bare) return Object.freeze({});
  if (grant === true || !isMapping(grant)) {
    const expected = bare ? 'true or false' : `false, or constraints as in "${name}: { ${keys.join(': …, ')}: … }"`;
    check.report(path, 'value', `expected ${expected}; found ${found(grant)}`);
    return null;
  }
  const problemsBefore = check.problems.length;
  const constraints = check.mapping(grant, path, schema);
  return constraints === null || check.problems.length > problemsBefore ? null : Object.freeze(constraints);
}

/** Holds one file's values against schemas and gathers what is wrong, with its place. */
class Check {
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
    const refused = new Set<string>();
    for (const issue of v.safeParse(schema, Object.fromEntries(entries)).issues ?? []) {
      const keys = issue.path?.map(({ key }) => String(key)) ?? [];
      const [key = ''] = keys;
      if (entries.has(key)) {
        refused.add(key);
        this.report([...path, ...keys], 'value', mismatch(issue.message, issue.input, issue.expected));
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

function found(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (typeof value === 'string') return `the text ${quoted(value)}`;
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'a mapping' : String(value);
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCapabilityName(name: string): name is CapabilityName {
  return Object.hasOwn(CONSTRAINT_SCHEMAS, name);
}
