/** One level file: its text as what it states, each statement with its place, and everything that is wrong in it. */
import * as v from 'valibot';
import type { Catalogue, ConstraintFields } from './capabilities.ts';
import { Check, found, isMapping, type PolicyProblem, problemAt, type Stated } from './check.ts';
import { expectedLimit, isLimitValue, LIMIT_NAMES, type LimitName } from './limits.ts';
import { quoted, suggestion } from './nearest-name.ts';
import { readPackages, type StatedPackages } from './packages.ts';
import { AUDIT_SYNCS, type AuditSync, type LevelName } from './policy.ts';
import { type StatedTerms, TERM_SCHEMAS } from './terms.ts';
import { type Path, type Position, readYaml, type YamlSource } from './yaml-source.ts';

/** What a level file says of one capability: what it states of its constraints and terms, or `false`, which takes it away. */
export type StatedGrant =
  | false
  | {
      readonly constraints: ReadonlyMap<string, Stated<unknown>>;
      readonly terms: StatedTerms;
    };

/** What a level file states, as far as it could be understood; a part that could not is absent and reported. */
export interface LevelFile {
  readonly file: string;
  readonly name: Stated<LevelName>;
  readonly rank: Stated<number> | null;
  readonly description: string;
  /** `null` states none; `'unclear'` is a value that was refused. */
  readonly extends: Stated<LevelName> | null | 'unclear';
  readonly grants: ReadonlyMap<string, Stated<StatedGrant>>;
  /** `null` states nothing of them. */
  readonly packages: Stated<StatedPackages> | null;
  readonly limits: ReadonlyMap<LimitName, Stated<number>>;
  /** Whether every limit of the file was understood, so that one that is absent was not stated at all. */
  readonly limitsClear: boolean;
  readonly auditSync: AuditSync | null;
}

interface LevelFileReading {
  /** null when not even the level's name could be read. */
  readonly level: LevelFile | null;
  readonly problems: readonly PolicyProblem[];
}

const RANK_MAX = 1_000_000;
const RANK_EXPECTED = `a whole number from 0 to ${RANK_MAX}`;
const DESCRIPTION_CHARS_MAX = 500;
const DESCRIPTION_EXPECTED = `a text of 1 to ${DESCRIPTION_CHARS_MAX} characters`;
const LEVEL_NAME_EXPECTED = 'the name of a level: a letter, then up to 31 letters, digits, _ or -, all lower case';
const levelName = v.pipe(v.string(LEVEL_NAME_EXPECTED), v.regex(/^[a-z][a-z0-9_-]{0,31}$/, LEVEL_NAME_EXPECTED));

const limitEntry = (name: LimitName) =>
  v.exactOptional(v.custom<number>((value) => isLimitValue(name, value), expectedLimit(name)));

const LIMITS_SCHEMA = v.strictObject({
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

/** The keys of a level file; what stands under `grants`, `packages` and `limits` is read by itself. */
export const LEVEL_FILE_SCHEMA = v.strictObject({
  level: levelName,
  rank: v.pipe(
    v.number(RANK_EXPECTED),
    v.safeInteger(RANK_EXPECTED),
    v.minValue(0, RANK_EXPECTED),
    v.maxValue(RANK_MAX, RANK_EXPECTED),
  ),
  extends: v.exactOptional(levelName),
  description: v.pipe(
    v.string(DESCRIPTION_EXPECTED),
    v.maxLength(DESCRIPTION_CHARS_MAX, DESCRIPTION_EXPECTED),
    v.check((text) => text.trim().length > 0, DESCRIPTION_EXPECTED),
  ),
  audit: v.exactOptional(v.picklist(AUDIT_SYNCS, AUDIT_SYNCS.map((word) => `"${word}"`).join(' or '))),
  grants: v.exactOptional(v.unknown()),
  packages: v.exactOptional(v.unknown()),
  limits: v.exactOptional(v.unknown()),
});

/** The schema of a grant that is written as a mapping: every constraint, and the terms, all of them optional. */
function grantSchema(fields: ConstraintFields): v.StrictObjectSchema<v.ObjectEntries, undefined> {
  const entries = {
    ...Object.fromEntries(Object.entries(fields).map(([name, { schema }]) => [name, schema])),
    ...TERM_SCHEMAS,
  };
  return v.strictObject(
    Object.fromEntries(
      Object.entries(entries).map(([name, schema]) => [name, v.exactOptional(schema as v.GenericSchema)]),
    ),
  );
}

/** Reads one level file. Never throws, whatever the text. */
export function readLevelFile(file: string, text: string, catalogue: Catalogue): LevelFileReading {
  const reading = readYaml(text);
  if (!reading.ok) {
    const problems = reading.problems.map(({ at, message }) => problemAt(file, at, [], message));
    return { level: null, problems };
  }
  const check = new Check(file, reading.source);
  const level = readLevel(check, file, reading.source, catalogue);
  return { level, problems: check.problems };
}

function readLevel(check: Check, file: string, source: YamlSource, catalogue: Catalogue): LevelFile | null {
  const top = check.mapping(source.value, [], LEVEL_FILE_SCHEMA);
  if (top === null) return null;
  const at = (path: Path): Position => source.locate(path, 'value');
  const grants = readGrants(check, source, top.grants, catalogue);
  const packages = readPackages(check, source, top.packages);
  const limits = new Map<LimitName, Stated<number>>();
  const problemsBeforeLimits = check.problems.length;
  const stated = 'limits' in top ? check.mapping(top.limits, ['limits'], LIMITS_SCHEMA) : {};
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
    packages,
    limits,
    limitsClear: check.problems.length === problemsBeforeLimits,
    auditSync: top.audit ?? null,
  };
}

function readGrants(check: Check, source: YamlSource, value: unknown, catalogue: Catalogue): LevelFile['grants'] {
  const grants = new Map<string, Stated<StatedGrant>>();
  if (value === undefined) return grants;
  if (!isMapping(value)) {
    check.report(['grants'], 'value', `expected a mapping of capability names, found ${found(value)}`);
    return grants;
  }
  for (const [name, grant] of Object.entries(value)) {
    const path = ['grants', name];
    const fields = catalogue.get(name);
    if (fields === undefined) {
      const names = [...catalogue.keys()];
      check.report(path, 'key', `${quoted(name)} is not a known capability; ${suggestion(name, names)}`);
      continue;
    }
    const stated = readGrant(check, source, path, fields, grant);
    if (stated !== null) grants.set(name, { value: stated, at: source.locate(path, 'key') });
  }
  return grants;
}

function readGrant(
  check: Check,
  source: YamlSource,
  path: Path,
  fields: ConstraintFields,
  grant: unknown,
): StatedGrant | null {
  if (grant === false) return false;
  if (grant === true) return { constraints: new Map(), terms: {} };
  if (!isMapping(grant)) {
    const keys = [...Object.keys(fields), ...Object.keys(TERM_SCHEMAS)];
    check.report(path, 'value', `expected true, false, or a mapping with ${keys.join(', ')}; found ${found(grant)}`);
    return null;
  }
  const problemsBefore = check.problems.length;
  const stated = check.mapping(grant, path, grantSchema(fields));
  if (stated === null || check.problems.length > problemsBefore) return null;
  const constraints = new Map<string, Stated<unknown>>();
  for (const name of Object.keys(fields)) {
    const value = stated[name];
    if (value !== undefined) constraints.set(name, { value, at: source.locate([...path, name], 'value') });
  }
  // Safe: what is left has passed the schemas of the terms.
  const { approval, rate, budget } = stated as StatedTerms;
  const terms = { ...(approval && { approval }), ...(rate && { rate }), ...(budget && { budget }) };
  return { constraints, terms };
}
