/**
 * The JSON Schemas of policy files, for editors: made from the schemas that the parser itself uses. What they cannot say, such as
 * how limits relate or what inheritance forbids, `pyrepl3 policy check` says.
 */
import { toJsonSchema } from '@valibot/to-json-schema';
import type * as v from 'valibot';
import { BUILT_IN, type Catalogue, type ConstraintFields } from './capabilities.ts';
import type { Field, ResourceKind } from './constraint-fields.ts';
import { LEVEL_FILE_SCHEMA } from './level-file.ts';
import { LIMIT_BOUNDS } from './limits.ts';
import { PACKAGES_SCHEMA } from './packages.ts';
import { CEILINGS_SCHEMA, RESOURCE_KINDS, RESOURCE_SCHEMAS, WHEEL_FOLDER_SCHEMA } from './resources.ts';
import { TERM_SCHEMAS } from './terms.ts';

type JsonSchema = Readonly<Record<string, unknown>>;

const DIALECT = 'http://json-schema.org/draft-07/schema#';

/** Of `sandbox.yaml` and its like. */
export function levelFileSchema(catalogue: Catalogue = BUILT_IN): JsonSchema {
  const { level, rank, extends: parent, description, audit } = LEVEL_FILE_SCHEMA.entries;
  const grants = Object.fromEntries([...catalogue].map(([name, fields]) => [name, grantOf(fields)]));
  const properties = {
    level: described(level, 'The name of the level.'),
    rank: described(rank, 'Orders the levels; each has a rank of its own.'),
    extends: described(parent, 'A lower level, whose grants and limits this one begins with.'),
    description: described(description, 'What the level is for, in a sentence.'),
    audit: described(audit, 'Whether each decision is on the disk before its effect starts, or within a second.'),
    grants: object(grants, 'What code may use. What is not granted does not exist for it.'),
    packages: described(
      PACKAGES_SCHEMA,
      'Wheels that Python sessions can import: name, or name==version; false takes all away.',
    ),
    limits: object(limitsOf(), 'What one session may use up.'),
  };
  return {
    $schema: DIALECT,
    title: 'A security level of PyREPL3',
    ...object(properties, 'docs/POLICIES.md says what each part means.'),
    required: ['level', 'rank', 'description'],
  };
}

/** Of `policy.yaml`. */
export function policyFileSchema(): JsonSchema {
  const sections = Object.fromEntries(RESOURCE_KINDS.map((kind) => [kind, sectionOf(kind)]));
  const ceilings = described(
    CEILINGS_SCHEMA,
    'The highest level that each socket may ask for, and at which it may use sessions.',
  );
  const packages = described(WHEEL_FOLDER_SCHEMA, 'The folder of the wheels that levels name under `packages`.');
  return {
    $schema: DIALECT,
    title: 'What the names in the levels of PyREPL3 stand for',
    ...object({ ceilings, ...sections, packages }, 'docs/POLICIES.md says what each part means.'),
  };
}

function object(properties: Readonly<Record<string, unknown>>, description: string): JsonSchema {
  return { type: 'object', description, properties, additionalProperties: false };
}

function grantOf(fields: ConstraintFields): JsonSchema {
  const constraints = Object.entries(fields as unknown as Readonly<Record<string, Field<unknown>>>).map(
    ([name, field]) => {
      const fallback = JSON.stringify(field.fallback) ?? 'has to be stated';
      return [name, described(field.schema, `Where it is neither stated nor inherited: ${fallback}.`)];
    },
  );
  const terms = {
    approval: described(TERM_SCHEMAS.approval, 'Whether a person must agree to the calls.'),
    rate: described(TERM_SCHEMAS.rate, 'How many calls one session may make, such as 60/minute.'),
    budget: described(TERM_SCHEMAS.budget, 'What one session may use up in its life.'),
  };
  const stated = object(
    { ...Object.fromEntries(constraints), ...terms },
    'Granted, with these constraints on these terms.',
  );
  return { anyOf: [{ type: 'boolean', description: 'true grants it, false takes it away.' }, stated] };
}

function limitsOf(): JsonSchema {
  return Object.fromEntries(
    Object.entries(LIMIT_BOUNDS).map(([name, { min, max, unit }]) => [
      name,
      { type: 'integer', minimum: min, maximum: max, description: `In ${unit}.` },
    ]),
  );
}

const SECTION_WORDS: Readonly<Record<ResourceKind, string>> = {
  roots: "Folders: of each session's own, or the administrator's.",
  sources: "Databases: of each session's own, or the administrator's.",
  secrets: 'Texts that code never sees unless the grant `secret` names them.',
  variables: 'What the grant `env` can name.',
  programs: 'What the grant `exec` can name.',
  credentials: 'Headers that the daemon adds to requests to one host.',
};

function sectionOf(kind: ResourceKind): JsonSchema {
  const ways = RESOURCE_SCHEMAS[kind].map((schema) => plain(schema));
  return {
    type: 'object',
    description: SECTION_WORDS[kind],
    propertyNames: { pattern: '^[A-Za-z][A-Za-z0-9_-]{0,63}$' },
    additionalProperties: ways.length === 1 ? ways[0] : { anyOf: ways },
  };
}

function described(schema: v.GenericSchema, description: string): JsonSchema {
  return { ...plain(schema), description };
}

/** Rules that JSON Schema has no word for are left out: the parser has them all. */
function plain(schema: v.GenericSchema): JsonSchema {
  const { $schema: _, ...rest } = toJsonSchema(schema, { errorMode: 'ignore', target: 'draft-07', typeMode: 'input' });
  return rest as JsonSchema;
}
