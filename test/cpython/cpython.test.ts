/**
 * A short part of `npm run test:cpython`: no test fails that `docs/CPYTHON.md` does not know. Its sources are a package of Debian, which
 * goes on without us: where they cannot be had these tests are skipped, and where they are later ones only ours of old have to pass.
 */
import { readFileSync } from 'node:fs';
import anyTest, { type TestFn } from 'ava';
import { DaemonProcess, type RawClient } from '../harness/daemon-process.ts';
import { isAlone } from './causes.ts';
import { ModuleRun } from './module-run.ts';
import { QUICK_MODULES } from './modules.ts';
import { unexplained } from './report.ts';
import { DAEMON_ARGS, sessionInterpreter } from './session-interpreter.ts';
import { cpythonTests } from './sources.ts';

const test = anyTest as TestFn;
const ends: (() => unknown)[] = [];
let client: RawClient | undefined;

const sources = await cpythonTests().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  return undefined;
});
const testOfModule = sources === undefined ? test.serial.skip : test.serial;

test.serial.before(async () => {
  if (sources === undefined) return;
  const teardown = (end: unknown): void => void ends.push(end as () => unknown);
  const daemon = await DaemonProcess.start({ teardown } as Parameters<typeof DaemonProcess.start>[0], {
    args: DAEMON_ARGS,
  });
  client = await daemon.connect();
});

test.after.always(async () => {
  client?.close();
  for (const end of ends) await end();
});

const page = readFileSync(new URL('../../docs/CPYTHON.md', import.meta.url), 'utf8');

for (const module of QUICK_MODULES) {
  testOfModule(`CPython's ${module} fails in no other way than is known`, async (t) => {
    t.timeout(180_000);
    if (sources === undefined || client === undefined) throw new Error('the daemon has not started');
    const connected = client;
    const open = () => sessionInterpreter(connected);
    const result = { module, ends: await new ModuleRun(open, sources.folder, module).run((id) => isAlone(module, id)) };
    const ofPage = page.includes(`\`${sources.version}\``);
    const unknown = unexplained(result);
    if (ofPage) t.deepEqual(unknown, []);
    else t.log(`docs/CPYTHON.md is of other tests than those of ${sources.version}`, unknown);
    const [, known = ''] = new RegExp(`^\\| \`${module}\` \\| \\d+ \\| (\\d+) \\|`, 'm').exec(page) ?? [];
    const passed = result.ends.filter(({ end }) => end === 'passed').length;
    t.true(passed >= Number(known) && passed > 0, `${passed} passed; docs/CPYTHON.md says ${known}`);
  });
}
