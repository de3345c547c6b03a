/** The page about CPython's tests: what became of each module, and why tests failed. */
import { CAUSES, causeOf } from './causes.ts';
import type { TestEnd } from './module-run.ts';

export interface ModuleResult {
  readonly module: string;
  readonly ends: readonly TestEnd[];
}

/** The failures for which no cause is known. */
export const unexplained = ({ module, ends }: ModuleResult): readonly TestEnd[] =>
  ends.filter(({ id, end }) => end === 'failed' && causeOf(module, id) === undefined);

export function pageOf(version: string, results: readonly ModuleResult[]): string {
  const count = (ends: readonly TestEnd[], end: TestEnd['end']): number => ends.filter((one) => one.end === end).length;
  const row = (name: string, ends: readonly TestEnd[]): string =>
    `| ${name} | ${ends.length} | ${count(ends, 'passed')} | ${count(ends, 'failed')} | ${count(ends, 'skipped')} |`;
  const all = results.flatMap(({ ends }) => ends);
  return `# CPython's own tests

What becomes of CPython's regression tests in a Python session of a real daemon. \`npm run test:cpython\` runs them and writes this page; \`npm run test:cpython -- test_dict\` runs single modules and only prints. The tests are those of CPython ${version.split('-')[0]} as Debian packages them (\`${version}\`), downloaded by the script; the interpreter is the one of the npm package \`pyodide\`, an earlier release of 3.14. A short part of them runs in \`npm test\`, where a failure that is not listed here fails.

The modules are ones that need no file, process or network; none of the resources that \`regrtest\` has to be asked for is granted. Each module has a session of the level \`unrestricted\` to itself. A cell runs inside the session's event loop, and asyncio refuses a second one in it: for the time of the tests the cell steps out of the loop, and they get loops of asyncio's own class whose time passes when they would wait.

| module | tests | passed | failed | skipped |
|---|---:|---:|---:|---:|
${results.map(({ module, ends }) => row(`\`${module}\``, ends)).join('\n')}
${row(`${results.length} modules`, all)}

Tests are skipped by their authors' own conditions: no threads, processes, sockets or \`_testcapi\`, too little stack or memory, or a resource that was not granted.

## Why tests fail
${CAUSES.map((cause) => sectionOf(cause.title, cause.why, failuresOf(results, cause))).join('')}`;
}

function failuresOf(results: readonly ModuleResult[], cause: (typeof CAUSES)[number] | undefined): readonly string[] {
  return results.flatMap(({ module, ends }) => {
    const failed = ends.filter(({ id, end }) => end === 'failed' && causeOf(module, id) === cause);
    const names = [...new Set(failed.map(({ id }) => id.split('.').at(-1)))];
    return names.length === 0
      ? []
      : [`- \`${module}\` (${failed.length}): ${names.map((name) => `\`${name}\``).join(', ')}`];
  });
}

const sectionOf = (title: string, why: string, failures: readonly string[]): string =>
  failures.length === 0 ? '' : `\n### ${title}\n\n${why}\n\n${failures.join('\n')}\n`;
