/**
 * Loads the capabilities that an administrator brought: modules of one folder, run with the daemon's own powers. So
 * nobody else may be able to write to them, and one that is broken keeps the daemon from starting, rather than be
 * missing without a word.
 */
import { lstat, readdir, realpath } from 'node:fs/promises';
import { registerHooks } from 'node:module';
import { extname, join, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as v from 'valibot';
import type { ConstraintFields } from '../../policies/capabilities.ts';
import { opaque } from '../../policies/constraint-fields.ts';
import { Fault } from '../fault.ts';
import { Capability } from './capability.ts';
import { capabilityNameProblem } from './capability-name.ts';
import type { CustomEffect } from './registry.ts';

const FILES_MAX = 256;
const MODULE = /\.(?:js|mjs|ts|mts)$/;
/** Tests and declarations may stand beside the modules. */
const NO_CAPABILITY = /\.(?:test|d)\.m?[jt]s$/;
const WRITABLE_BY_OTHERS = 0o022;

/** The files of authors import these from wherever they stand: they have to be the daemon's own. */
const OWN_MODULES: Readonly<Record<string, string>> = {
  'pyrepl3/capability': `./authoring${extname(import.meta.url)}`,
  valibot: 'valibot',
};

/** The members of the base class that have to be there, and what each has to be. */
const SHAPE = v.looseObject({
  kind: v.literal('effect'),
  name: v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_]{0,63}$/, 'must be lower case letters, digits and _')),
  summary: v.pipe(v.string(), v.nonEmpty()),
  signature: v.pipe(v.string(), v.nonEmpty()),
  stub: v.string(),
  idempotent: v.boolean(),
  patient: v.boolean(),
  args: v.looseObject({ kind: v.literal('schema', 'must be a valibot schema') }, 'must be a valibot schema'),
  constraints: v.looseObject(
    { type: v.literal('strict_object', 'must be made with v.strictObject()'), entries: v.looseObject({}) },
    'must be made with v.strictObject()',
  ),
  invoke: v.function(),
});

/**
 * The capabilities of every module in the folder, in the order of their files' names. Fails with UNAVAILABLE naming the
 * file and what is wrong with it.
 *
 * @param isTaken whether a name is that of a capability already, or of one of its globals
 */
export async function loadCustomCapabilities(
  folder: string,
  isTaken: (name: string) => boolean,
): Promise<readonly CustomEffect[]> {
  const real = await realpath(folder).catch(() => {
    throw broken(folder, 'there is no such folder');
  });
  await refuseUnsafe(real, 'folder');
  const files = (await readdir(real)).filter((name) => MODULE.test(name) && !NO_CAPABILITY.test(name)).toSorted();
  if (files.length > FILES_MAX) throw broken(folder, `it has ${files.length} modules, and may have ${FILES_MAX}`);
  const effects: CustomEffect[] = [];
  const hooks = resolvingOwnModules(real);
  try {
    for (const name of files) {
      const file = join(real, name);
      await refuseUnsafe(file, 'file');
      const isKnown = (each: string): boolean =>
        isTaken(each) || effects.some(({ capability }) => capability.name === each);
      effects.push(effectOf(file, await load(file), isKnown));
    }
  } finally {
    hooks.deregister();
  }
  return effects;
}

async function refuseUnsafe(path: string, kind: 'file' | 'folder'): Promise<void> {
  const stats = await lstat(path);
  if (kind === 'file' ? !stats.isFile() : !stats.isDirectory())
    throw broken(path, `it has to be a ${kind}, and no link`);
  if ((stats.mode & WRITABLE_BY_OTHERS) !== 0) {
    throw broken(path, 'others than its owner can write to it; take that away with: chmod go-w');
  }
  const uid = process.getuid?.();
  if (uid !== undefined && stats.uid !== uid && stats.uid !== 0) {
    throw broken(path, 'it belongs to neither the user of the daemon nor root');
  }
}

function resolvingOwnModules(folder: string): { deregister(): void } {
  const base = pathToFileURL(folder + sep).href;
  return registerHooks({
    resolve: (specifier, context, nextResolve) => {
      const own = Object.hasOwn(OWN_MODULES, specifier) ? OWN_MODULES[specifier] : undefined;
      if (own === undefined || !(context.parentURL ?? '').startsWith(base)) return nextResolve(specifier, context);
      return nextResolve(own, { ...context, parentURL: import.meta.url });
    },
  });
}

async function load(file: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return await import(pathToFileURL(file).href);
  } catch (error) {
    throw broken(file, error instanceof Error ? `${error.name}: ${error.message}` : String(error), error);
  }
}

function effectOf(
  file: string,
  module: Readonly<Record<string, unknown>>,
  isTaken: (name: string) => boolean,
): CustomEffect {
  const capability = instanceOf(file, module['capability']);
  const shape = v.safeParse(SHAPE, capability, { abortEarly: true });
  if (!shape.success) {
    const [issue] = shape.issues;
    throw broken(file, `the capability's ${v.getDotPath(issue)}: ${issue.message}`);
  }
  const { name, constraints } = shape.output;
  const problem = capabilityNameProblem(name, isTaken);
  if (problem !== null) throw broken(file, `the capability cannot be called ${name}: ${problem}`);
  if (capability.globals.length !== 1 || capability.globals[0] !== name) {
    throw broken(file, 'the capability has to have one global, of its own name');
  }
  return { capability, fields: fieldsOf(constraints.entries as v.ObjectEntries) };
}

function instanceOf(file: string, exported: unknown): Capability {
  try {
    const capability = typeof exported === 'function' ? Reflect.construct(exported, []) : exported;
    if (capability instanceof Capability) return capability;
  } catch (error) {
    throw broken(
      file,
      `the capability cannot be made: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
  throw broken(
    file,
    'it has to export "capability": a class that extends Capability of pyrepl3/capability, or an instance of it',
  );
}

/** A field with a default need not be stated in a grant. */
function fieldsOf(entries: v.ObjectEntries): ConstraintFields {
  return Object.fromEntries(
    Object.entries(entries).map(([name, schema]) => {
      const field = opaque(schema as v.GenericSchema<unknown, never>);
      return [name, { ...field, fallback: v.getDefault(schema as v.GenericSchema) as never }];
    }),
  );
}

function broken(path: string, problem: string, cause?: unknown): Fault {
  return new Fault('UNAVAILABLE', `The capability in ${path} cannot be used: ${problem}.`, undefined, { cause });
}
