import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ExecutionResult } from '../../client/protocol.ts';
import { jsonOf, Survivor } from '../chaos/_survivor.ts';
import { PolicyFolder } from '../harness/policy-folder.ts';
import { fillSnapshotCache } from '../harness/snapshot-cache.ts';
import { WheelFolderOfTest, type WheelSpec } from '../harness/wheels.ts';

const cache = mkdtempSync(join(tmpdir(), 'pyrepl3-cache-'));
test.before('the snapshot of CPython is made, which every daemon finds then', async (t) => {
  t.timeout(120_000);
  await fillSnapshotCache(cache);
});
test.after.always(() => rmSync(cache, { recursive: true, force: true }));

const SHAPES: WheelSpec = {
  name: 'Shapes-Of.Tests',
  version: '1.2',
  metadata: ['Requires-Dist: base>=2; python_version >= "3.9"', 'Requires-Dist: absent; extra == "more"'],
  files: {
    'shapes/__init__.py':
      'import random\nfrom base import area\nnumber = random.random()\ndef fail():\n    raise area\n',
    'shapes/words.txt': 'of data',
  },
};
const BASE: WheelSpec = { name: 'base', version: '2.0', files: { 'base.py': 'area = ValueError("of a package")\n' } };
const BASE_OF_LATER: WheelSpec = { ...BASE, files: { 'base.py': 'area = KeyError("of another package")\n' } };

interface Given {
  readonly session: Survivor;
  readonly wheels: WheelFolderOfTest;
  readonly policies: PolicyFolder;
  /** The hashes of the wheels. */
  readonly shapes: string;
  readonly base: string;
}

/** A session of a level that has two packages, of which one needs the other. */
async function given(t: ExecutionContext, level = 'standard'): Promise<Given> {
  const wheels = new WheelFolderOfTest(t);
  const [shapes, base] = [wheels.add(SHAPES), wheels.add(BASE)];
  wheels.add({ name: 'unlisted' });
  const policies = new PolicyFolder()
    .edit('policy', 'roots:', `packages: { path: ${wheels.path} }\nroots:`)
    .edit('standard', 'grants:', 'packages: [shapes-of-tests, base==2]\ngrants:')
    .edit('trusted', 'grants:', 'packages: false\ngrants:');
  t.teardown(() => policies.remove());
  const session = await Survivor.start(t, { language: 'python', level }, [
    ...['--policies', policies.path, '--cache-dir', cache],
  ]);
  return { session, wheels, policies, shapes, base };
}

async function recorded(session: Survivor): Promise<unknown[]> {
  const admin = await session.daemon.connect('admin');
  const { records } = await admin.call('audit.query', { kind: 'session.packages' });
  admin.close();
  return records.map(({ fields }) => fields).reverse();
}

const errorOf = ({ error }: ExecutionResult): string => `${error?.code} ${error?.name}: ${error?.message}`;

test.serial(
  'a Python session imports the packages of its level and nothing else, and the audit log has which wheels they were',
  async (t) => {
    const { session, shapes, base } = await given(t);
    const looks =
      'import importlib.metadata as metadata, importlib.resources as resources, sys, shapes\n[metadata.version("shapes-of-tests"), metadata.version("base"), resources.files("shapes").joinpath("words.txt").read_text(), len([*metadata.distributions()])]';
    t.deepEqual(jsonOf(await session.run(looks)), ['1.2', '2.0', 'of data', 2]);
    for (const name of ['unlisted', 'micropip', 'pip'])
      t.is(
        errorOf(await session.run(`import ${name}`)),
        `RUNTIME_ERROR ModuleNotFoundError: No module named '${name}'`,
      );
    t.regex((await session.run('help()')).output.stdout, /Packages: shapes-of-tests 1\.2, base 2\.0/);
    const { error } = await session.run('shapes.fail()');
    t.regex(
      error?.stack ?? '',
      /File "\/lib\/python3\.14\/site-packages\/shapes\/__init__\.py", line 5, in fail\n {4}raise area/,
    );
    const packages = [`shapes-of-tests==1.2 sha256:${shapes}`, `base==2.0 sha256:${base}`];
    t.deepEqual(await recorded(session), [{ sessionId: session.sessionId, packages }]);
  },
);

test.serial('levels without packages have none, and their sessions no record of any', async (t) => {
  const { session } = await given(t, 'trusted');
  t.is(errorOf(await session.run('import shapes')), "RUNTIME_ERROR ModuleNotFoundError: No module named 'shapes'");
  t.deepEqual(await recorded(session), []);
});

test.serial('a session with packages is made again with the same ones, and not at all with others', async (t) => {
  const { session, wheels, base, shapes } = await given(t);
  await session.run('import shapes, random\nbefore = [shapes.number, random.random()]');
  const before = jsonOf(await session.run('before'));
  await session.crash();
  t.deepEqual(jsonOf(await session.run('import sys\n[*before, "shapes" in sys.modules]')), [...(before as []), true]);

  // From an image, which has in it what the package came to and not its files.
  await session.run('total = sum(i * i for i in range(3_000_000))');
  const { sessionId } = session;
  t.true((await session.client.call('session.hibernate', { sessionId })).hibernated);
  const words = 'import importlib.resources as resources\nresources.files("shapes").joinpath("words.txt").read_text()';
  t.is(jsonOf(await session.run(words)), 'of data');
  t.deepEqual(jsonOf(await session.run('before')), before);

  const later = wheels.add(BASE_OF_LATER);
  await session.crash();
  const lost = await session.run('before');
  t.is(lost.error?.code, 'SESSION_LOST');
  t.is(
    lost.error?.message,
    `The daemon was restarted, and the session cannot be made again: it began with the package base 2.0, whose wheel is another one now (sha256 ${base} then, ${later} now). Its variables are gone; the next cell runs in a fresh session.`,
  );
  t.is(errorOf(await session.run('import shapes\nshapes.fail()')), "RUNTIME_ERROR KeyError: 'of another package'");
  t.deepEqual(await recorded(session), [
    { sessionId, packages: [`shapes-of-tests==1.2 sha256:${shapes}`, `base==2.0 sha256:${base}`] },
    { sessionId, packages: [`shapes-of-tests==1.2 sha256:${shapes}`, `base==2.0 sha256:${later}`] },
  ]);
});

test.serial(
  'a wheel that is replaced is taken by new sessions; those that exist keep theirs while they are awake',
  async (t) => {
    const { session, wheels } = await given(t);
    const { client, sessionId } = session;
    const fails = async (id: string): Promise<string> =>
      errorOf(await client.call('session.execute', { sessionId: id, source: 'import shapes\nshapes.fail()' }));
    t.is(await fails(sessionId), 'RUNTIME_ERROR ValueError: of a package');

    const admin = await session.daemon.connect('admin');
    const applied = async (): Promise<readonly unknown[]> =>
      (await admin.call('audit.query', { kind: 'policy.applied' })).records;
    wheels.add(BASE_OF_LATER);
    // The folder is looked at every two seconds.
    while ((await applied()).length < 2) await new Promise((resolve) => setTimeout(resolve, 50));
    t.regex(JSON.stringify((await applied())[0]), /standard: the package base is another wheel: 2\.0 sha256:/);

    const { sessionId: newer } = await client.call('session.create', { language: 'python', level: 'standard' });
    t.is(await fails(newer), "RUNTIME_ERROR KeyError: 'of another package'");
    t.is(await fails(sessionId), 'RUNTIME_ERROR ValueError: of a package');

    while (!(await client.call('session.hibernate', { sessionId })).hibernated) await new Promise(setImmediate);
    t.regex(
      await fails(sessionId),
      /^SESSION_LOST SessionLost: The session cannot be made again: it began with the package base 2\.0, whose wheel is another one now \(/,
    );
    t.is(await fails(sessionId), "RUNTIME_ERROR KeyError: 'of another package'");
    admin.close();
  },
);

test.serial('a policy is not taken whose packages cannot be used, and says why', async (t) => {
  const { session, wheels, policies } = await given(t);
  const admin = await session.daemon.connect('admin');
  const { levels } = await admin.call('policy.list', {});
  t.true(levels.length >= 5);
  const problemsOf = async (folder: PolicyFolder): Promise<string[]> => {
    const { problems } = await admin.call('policy.validate', { files: folder.files });
    return problems.map(({ file, line, path, message }) => `${file}:${line} ${path}: ${message}`);
  };
  t.deepEqual(await problemsOf(policies), []);
  policies.edit('policy', wheels.path, '/nowhere/at/all');
  t.deepEqual(await problemsOf(policies), [
    'policy.yaml:7 packages.path: the folder of wheels /nowhere/at/all cannot be read (ENOENT)',
  ]);
  policies.edit('policy', '/nowhere/at/all', wheels.path).edit('standard', 'base==2', 'unlisted==3');
  t.deepEqual(await problemsOf(policies), [
    `standard.yaml:7 packages: there is no wheel of unlisted==3 in ${wheels.path}; there is 1.0`,
  ]);
  policies.edit('standard', ', unlisted==3', '');
  t.deepEqual(await problemsOf(policies), [
    'standard.yaml:7 packages: shapes-of-tests 1.2 needs base>=2, which is not in this list',
  ]);
  policies
    .edit('standard', 'shapes-of-tests', 'base')
    .edit('policy', 'workspace: { private: true }', `workspace: { private: true }\n  data: { path: ${wheels.path} }`);
  t.deepEqual(await problemsOf(policies), []);
  const refusal = await t.throwsAsync(admin.call('policy.apply', { files: policies.files, dryRun: true }));
  t.regex(refusal?.message ?? '', /The root "data" .* its wheels\)/);
  const { packages } = await admin.call('policy.show', { level: 'standard' });
  t.deepEqual(
    packages.map(({ package: stated, version }) => `${stated} ${version}`),
    ['shapes-of-tests 1.2', 'base==2 2.0'],
  );
  admin.close();
});
