import { posix } from 'node:path';
import ts from 'typescript-transpiler';
import type { RepoFile } from './repo-files.ts';

interface Law {
  /** Files of ours, outside the zone, that it may import. */
  ours: (path: string) => boolean;
  /** Packages from the registry. */
  packages: (name: string) => boolean;
  /** Modules of Node itself. */
  builtins: (name: string) => boolean;
}

const never = () => false;
const oneOf = (names: string[]) => (name: string) => names.includes(name);

/** Built-ins that run code given as text: the trusted process never does. */
const evaluating = oneOf(['node:vm', 'node:repl', 'node:inspector', 'node:inspector/promises']);

const laws: Record<string, Law> = {
  client: {
    ours: never,
    packages: oneOf(['ws', 'valibot', 'json-rpc-2.0', 'commander', 'sugar-high']),
    builtins: () => true,
  },
  policies: { ours: never, packages: oneOf(['valibot', 'yaml', '@valibot/to-json-schema']), builtins: never },
  sandbox: {
    ours: never,
    packages: oneOf([
      'isolated-vm',
      'acorn',
      'acorn-walk',
      'magic-string',
      '@jridgewell/trace-mapping',
      'typescript-transpiler',
      // Read as a text, which isolates compile.
      'web-streams-polyfill',
      'pyodide',
    ]),
    builtins: () => true,
  },
  daemon: {
    ours: (path) => path.startsWith('policies/') || path === 'client/protocol.ts' || path === 'sandbox/protocol.ts',
    packages: (name) => !['isolated-vm', 'typescript-transpiler', 'acorn', 'acorn-walk'].includes(name),
    builtins: (name) => !evaluating(name),
  },
};

/** The only places that may touch the engine of the isolates, and the one that keeps what is durable. */
const owners: Readonly<Record<string, string>> = {
  'isolated-vm': 'sandbox/isolate.ts',
  '@resonatehq/sdk': 'daemon/durability/',
};

/**
 * What in the imports of one file breaks the import law of docs/ARCHITECTURE.md, as sentences.
 *
 * @param dependencies the packages that are installed with the published package.
 */
export function importViolations(file: RepoFile, dependencies: readonly string[]): string[] {
  const zone = file.path.split('/')[0] ?? '';
  const law = laws[zone];
  if (!law) return [];
  const violations: string[] = [];
  for (const specifier of importsOf(file.text)) {
    if (isForbidden(specifier)) violations.push(`${file.path} imports ${specifier}`);
  }
  return violations;

  function isForbidden(specifier: string): boolean {
    if (law === undefined) return false;
    if (specifier.startsWith('node:')) return !law.builtins(specifier);
    if (specifier.startsWith('.')) {
      const target = posix.join(posix.dirname(file.path), specifier);
      return !target.startsWith(`${zone}/`) && !law.ours(target);
    }
    const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
    if (!file.path.startsWith(owners[name] ?? '')) return true;
    return !law.packages(name) || !dependencies.includes(name);
  }
}

function importsOf(text: string): string[] {
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
}
