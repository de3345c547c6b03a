/** Which files of the package `test` a module needs: a session has no room for all of them. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Data that tests read, which no import names. */
const DATA: Readonly<Record<string, readonly string[]>> = {
  test_asyncio: ['test/certdata'],
  test_cmath: ['test/mathdata'],
  test_contextlib: ['test/data'],
  test_datetime: ['test/datetimetester.py'],
  test_float: ['test/mathdata'],
  test_fractions: ['test/mathdata'],
  test_math: ['test/mathdata'],
  test_random: ['test/randv2_32.pck', 'test/randv2_64.pck', 'test/randv3.pck'],
};
const IMPORT = /^\s*(?:from\s+(test(?:\.\w+)*)\s+import\s+(\([^)]*\)|[^\n]*)|import\s+(test(?:\.\w+)+))/gm;

/** @returns the content of the files by their path, which begins with `test/` */
export function neededFiles(folder: string, module: string): ReadonlyMap<string, Buffer> {
  const files = new Map<string, Buffer>();
  const add = (path: string): void => {
    if (files.has(path) || !existsSync(join(folder, path))) return;
    if (statSync(join(folder, path)).isDirectory()) {
      for (const name of readdirSync(join(folder, path))) if (name !== '__pycache__') add(join(path, name));
      return;
    }
    const content = readFileSync(join(folder, path));
    files.set(path, content);
    if (path.endsWith('.py')) for (const one of importsOf(content.toString('latin1'))) add(fileOf(folder, one));
  };
  add('test/__init__.py');
  add('test/support');
  add(fileOf(folder, module));
  for (const path of DATA[module.split('.')[1] ?? ''] ?? []) add(path);
  return files;
}

/** The names of modules in the package `test` that a source imports, and of things in them: not all of them are files. */
function importsOf(source: string): string[] {
  return [...source.matchAll(IMPORT)].flatMap(([, from, names = '', whole]) => {
    if (whole !== undefined) return [whole];
    return [`${from}`, ...(names.match(/\w+/g) ?? []).map((name) => `${from}.${name}`)];
  });
}

/** Of a package, its folder, since its modules import each other by names that begin with a dot. */
function fileOf(folder: string, module: string): string {
  const parts = module.split('.');
  if (parts.length === 1) return 'test/__init__.py';
  const [, first = '', ...rest] = parts;
  const inner = relative(folder, join(folder, 'test', first, ...rest));
  if (existsSync(join(folder, `${inner}.py`)))
    return first === 'support' || rest.length === 0 ? `${inner}.py` : join('test', first);
  return existsSync(join(folder, 'test', first)) && statSync(join(folder, 'test', first)).isDirectory()
    ? join('test', first)
    : `test/${first}.py`;
}
