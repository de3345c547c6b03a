/**
 * `policy.yaml`: what the names in constraints stand for, and how high each socket may reach. Pure data; whether a path exists,
 * or an environment variable is set, is the daemon's to find out.
 */
import * as v from 'valibot';
import { Check, isMapping, type PolicyProblem, problemAt, type Stated } from './check.ts';
import type { ResourceKind } from './constraint-fields.ts';
import { hostRuleProblem } from './host-rule.ts';
import { nearestName, quoted, suggestion } from './nearest-name.ts';
import type { LevelName } from './policy.ts';
import { type Position, readYaml, type YamlSource } from './yaml-source.ts';

export const POLICY_FILE = 'policy.yaml';

/** A folder: each session's own, or one of the administrator's. */
export type RootSpec = { readonly kind: 'private' } | { readonly kind: 'path'; readonly path: string };

/** A database: a SQLite file of each session's own, one of the administrator's, or a PostgreSQL server. */
export type SourceSpec =
  | { readonly kind: 'private' }
  | { readonly kind: 'sqlite'; readonly path: string }
  | {
      readonly kind: 'postgres';
      /** A name, an address, or the folder of a Unix socket. */
      readonly host: string;
      readonly port: number;
      readonly database: string;
      readonly user: string;
      readonly password: { readonly secret: string } | null;
      readonly tls: boolean;
    };

export type SecretSpec = { readonly file: string } | { readonly env: string };
export type VariableSpec = { readonly value: string } | { readonly env: string };
export interface ProgramSpec {
  readonly path: string;
}

/** A header that the daemon adds to requests to one host. */
export interface CredentialSpec {
  readonly host: string;
  readonly header: string;
  readonly secret: string;
  readonly prefix: string;
}

/** The folder of the wheels that levels name as packages, and where the policy names it. */
export interface WheelFolder {
  readonly path: string;
  readonly at: Position;
}

export interface Resources {
  readonly roots: ReadonlyMap<string, RootSpec>;
  readonly sources: ReadonlyMap<string, SourceSpec>;
  readonly secrets: ReadonlyMap<string, SecretSpec>;
  readonly variables: ReadonlyMap<string, VariableSpec>;
  readonly programs: ReadonlyMap<string, ProgramSpec>;
  readonly credentials: ReadonlyMap<string, CredentialSpec>;
  readonly packages: WheelFolder | null;
}

export interface ResourceFile {
  readonly resources: Resources;
  readonly ceilings: { readonly client?: Stated<LevelName>; readonly admin?: Stated<LevelName> };
}

const NAMES_MAX = 256;
const NAME_EXPECTED = 'a letter, then up to 63 letters, digits, _ or -';
const absolutePath = v.pipe(
  v.string('an absolute path'),
  v.startsWith('/', 'an absolute path'),
  v.maxLength(4096, 'a path of at most 4096 characters'),
);
const text = v.pipe(
  v.string('a text'),
  v.minLength(1, 'a text'),
  v.maxLength(4096, 'a text of at most 4096 characters'),
);
const variableName = v.pipe(
  v.string('the name of an environment variable'),
  v.regex(/^[A-Za-z_]\w{0,127}$/, 'the name of an environment variable'),
);
const isTrue = v.literal(true, 'true');
const headerName = v.pipe(
  v.string('the name of a header'),
  v.regex(/^[a-z][a-z0-9-]{0,63}$/, 'the name of a header, in lower case'),
);
const hostRule = v.pipe(
  v.string('a host'),
  v.rawCheck(({ dataset, addIssue }) => {
    const message = dataset.typed ? hostRuleProblem(dataset.value) : null;
    if (message !== null) addIssue({ message });
  }),
);

/** One schema for each way that an entry of a section can be written; the first key that is stated chooses among them. */
export const RESOURCE_SCHEMAS = {
  roots: [v.strictObject({ private: isTrue }), v.strictObject({ path: absolutePath })],
  sources: [
    v.strictObject({ private: isTrue }),
    v.strictObject({ sqlite: absolutePath }),
    v.strictObject({
      postgres: v.strictObject({
        host: text,
        port: v.exactOptional(
          v.pipe(v.number('a port'), v.integer('a port'), v.minValue(1, 'a port'), v.maxValue(65_535, 'a port')),
          5432,
        ),
        database: text,
        user: text,
        password: v.exactOptional(v.strictObject({ secret: text })),
        tls: v.exactOptional(v.boolean('true or false'), false),
      }),
    }),
  ],
  secrets: [v.strictObject({ file: absolutePath }), v.strictObject({ env: variableName })],
  variables: [v.strictObject({ value: text }), v.strictObject({ env: variableName })],
  programs: [v.strictObject({ path: absolutePath })],
  credentials: [
    v.strictObject({
      host: hostRule,
      header: v.exactOptional(headerName, 'authorization'),
      secret: text,
      prefix: v.exactOptional(v.pipe(v.string('a text'), v.maxLength(64, 'at most 64 characters')), ''),
    }),
  ],
} as const satisfies Record<ResourceKind, readonly v.StrictObjectSchema<v.ObjectEntries, undefined>[]>;

export const RESOURCE_KINDS = Object.keys(RESOURCE_SCHEMAS) as readonly ResourceKind[];

const levelName = v.string('the name of a level');
export const POLICY_FILE_SCHEMA = v.strictObject({
  ceilings: v.exactOptional(v.unknown()),
  roots: v.exactOptional(v.unknown()),
  sources: v.exactOptional(v.unknown()),
  secrets: v.exactOptional(v.unknown()),
  variables: v.exactOptional(v.unknown()),
  programs: v.exactOptional(v.unknown()),
  credentials: v.exactOptional(v.unknown()),
  packages: v.exactOptional(v.unknown()),
});
export const WHEEL_FOLDER_SCHEMA = v.strictObject({ path: absolutePath });
export const CEILINGS_SCHEMA = v.strictObject({
  client: v.exactOptional(levelName),
  admin: v.exactOptional(levelName),
});

/** A policy without a `policy.yaml`. */
export const NO_RESOURCES: ResourceFile = {
  resources: {
    roots: new Map([['workspace', { kind: 'private' }]]),
    sources: new Map([['scratch', { kind: 'private' }]]),
    secrets: new Map(),
    variables: new Map(),
    programs: new Map(),
    credentials: new Map(),
    packages: null,
  },
  ceilings: {},
};

/** Reads `policy.yaml`. Never throws, whatever the text. */
export function readResources(
  file: string,
  source: string,
): { readonly file: ResourceFile; readonly problems: readonly PolicyProblem[] } {
  const reading = readYaml(source);
  if (!reading.ok) {
    return {
      file: NO_RESOURCES,
      problems: reading.problems.map(({ at, message }) => problemAt(file, at, [], message)),
    };
  }
  const check = new Check(file, reading.source);
  const result = readSections(check, reading.source);
  return { file: result ?? NO_RESOURCES, problems: check.problems };
}

type Entry = Readonly<Record<string, never>>;

function readSections(check: Check, source: YamlSource): ResourceFile | null {
  const top = check.mapping(source.value, [], POLICY_FILE_SCHEMA);
  if (top === null) return null;
  const section = <T>(kind: ResourceKind, specOf: (entry: Entry) => T): Map<string, T> =>
    new Map([...readSection(check, kind, top[kind])].map(([name, entry]) => [name, specOf(entry)]));
  const folder = 'packages' in top ? check.mapping(top.packages, ['packages'], WHEEL_FOLDER_SCHEMA) : null;
  const resources: Resources = {
    packages:
      folder?.path === undefined ? null : { path: folder.path, at: source.locate(['packages', 'path'], 'value') },
    roots: section<RootSpec>('roots', ({ path }) =>
      path === undefined ? { kind: 'private' } : { kind: 'path', path },
    ),
    sources: section<SourceSpec>('sources', sourceSpec),
    secrets: section<SecretSpec>('secrets', (entry) => entry as unknown as SecretSpec),
    variables: section<VariableSpec>('variables', (entry) => entry as unknown as VariableSpec),
    programs: section<ProgramSpec>('programs', (entry) => entry as unknown as ProgramSpec),
    credentials: section<CredentialSpec>('credentials', (entry) => entry as unknown as CredentialSpec),
  };
  checkSecrets(check, resources);
  const stated = top.ceilings === undefined ? {} : (check.mapping(top.ceilings, ['ceilings'], CEILINGS_SCHEMA) ?? {});
  const ceilings = Object.fromEntries(
    Object.entries(stated).map(([role, value]) => [role, { value, at: source.locate(['ceilings', role], 'value') }]),
  );
  return { resources, ceilings };
}

function readSection(check: Check, kind: ResourceKind, value: unknown): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  if (value === undefined) return entries;
  if (!isMapping(value)) {
    check.report([kind], 'value', 'expected a mapping from names to what they stand for');
    return entries;
  }
  const names = Object.keys(value);
  if (names.length > NAMES_MAX) check.report([kind], 'value', `at most ${NAMES_MAX} names; there are ${names.length}`);
  for (const [name, entry] of Object.entries(value).slice(0, NAMES_MAX)) {
    const path = [kind, name];
    if (!/^[A-Za-z][\w-]{0,63}$/.test(name))
      check.report(path, 'key', `${quoted(name)} is not a name: ${NAME_EXPECTED}`);
    const problemsBefore = check.problems.length;
    const read = check.mapping(entry, path, wayOf(kind, entry));
    if (read !== null && check.problems.length === problemsBefore) entries.set(name, read as Entry);
  }
  return entries;
}

/** Which of the ways to write an entry is meant: the one that has a key of it, or the one whose key is nearest to one. */
function wayOf(kind: ResourceKind, entry: unknown): (typeof RESOURCE_SCHEMAS)[ResourceKind][number] {
  const ways = RESOURCE_SCHEMAS[kind];
  const keys = isMapping(entry) ? Object.keys(entry) : [];
  const has = (way: (typeof ways)[number], isKey: (key: string, known: readonly string[]) => boolean): boolean =>
    keys.some((key) => isKey(key, Object.keys(way.entries)));
  return (
    ways.find((way) => has(way, (key, known) => known.includes(key))) ??
    ways.find((way) => has(way, (key, known) => nearestName(key, known) !== null)) ??
    ways[0]
  );
}

function sourceSpec({ sqlite, postgres }: Entry): SourceSpec {
  if (sqlite !== undefined) return { kind: 'sqlite', path: sqlite };
  if (postgres === undefined) return { kind: 'private' };
  const { password = null, ...rest } = postgres as Omit<Extract<SourceSpec, { kind: 'postgres' }>, 'kind'>;
  return { kind: 'postgres', ...rest, password };
}

/** A password or a credential that names a secret which is not there would fail at its first use only. */
function checkSecrets(check: Check, { secrets, sources, credentials }: Resources): void {
  const known = [...secrets.keys()];
  const report = (path: readonly string[], name: string): void => {
    if (!secrets.has(name))
      check.report(path, 'value', `there is no secret ${quoted(name)}; ${suggestion(name, known)}`);
  };
  for (const [name, source] of sources) {
    if (source.kind === 'postgres' && source.password !== null)
      report(['sources', name, 'postgres', 'password', 'secret'], source.password.secret);
  }
  for (const [name, { secret }] of credentials) report(['credentials', name, 'secret'], secret);
}
