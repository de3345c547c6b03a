/**
 * `npm run test:cpython [-- [--plain] MODULE…]`: runs modules of CPython's tests in sessions of a daemon of their own, all of them and
 * writes `docs/CPYTHON.md` where none is named. `--plain` runs them in plain Pyodide instead, to tell what is not our doing.
 */
import { writeFileSync } from 'node:fs';
import { DaemonProcess } from '../harness/daemon-process.ts';
import { isAlone } from './causes.ts';
import { type Interpreter, ModuleRun } from './module-run.ts';
import { MODULES } from './modules.ts';
import { plainInterpreter } from './plain-interpreter.ts';
import { type ModuleResult, pageOf, unexplained } from './report.ts';
import { DAEMON_ARGS, sessionInterpreter } from './session-interpreter.ts';
import { cpythonTests } from './sources.ts';

const named = process.argv.slice(2).filter((argument) => argument !== '--plain');
const plain = process.argv.includes('--plain');
const ends: (() => unknown)[] = [];
const { folder, version } = await cpythonTests();
const results: ModuleResult[] = [];
let failures = 0;
try {
  const open = plain ? plainInterpreter : await sessions();
  for (const module of named.length > 0 ? named : MODULES) {
    const result = { module, ends: await new ModuleRun(open, folder, module).run((id) => isAlone(module, id)) };
    results.push(result);
    failures += unexplained(result).length;
    process.stdout.write(`${module}: ${result.ends.length} tests\n`);
    for (const { id, end, reason } of result.ends) {
      if (end === 'failed') process.stdout.write(`  ${id}: ${reason}\n`);
    }
  }
  if (named.length === 0 && !plain) {
    writeFileSync(new URL('../../docs/CPYTHON.md', import.meta.url), pageOf(version, results));
  }
} finally {
  for (const end of ends.reverse()) await end();
}
process.stdout.write(`${failures} failures without a known cause\n`);
process.exitCode = failures > 0 && !plain ? 1 : 0;

async function sessions(): Promise<() => Promise<Interpreter>> {
  const teardown = (end: unknown): void => void ends.push(end as () => unknown);
  const daemon = await DaemonProcess.start({ teardown } as Parameters<typeof DaemonProcess.start>[0], {
    args: DAEMON_ARGS,
  });
  const client = await daemon.connect();
  ends.push(() => client.close());
  return () => sessionInterpreter(client);
}
