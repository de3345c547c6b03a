import test from 'ava';
import { readWheel } from '../../../daemon/packages/wheel.ts';
import type { PackageLock } from '../../../sandbox/protocol.ts';
import { type WheelSpec, wheelBytes, wheelFile } from '../../harness/wheels.ts';
import { HostedPython } from './_hosted-python.ts';

const SPEC: WheelSpec = {
  name: 'made',
  files: {
    'made/__init__.py': 'value = 1\ndef spin():\n  while True: pass\n',
    'made/deep/er/__init__.py': 'value = 2\n',
  },
};

class HostedPackages extends HostedPython {
  readonly lock: PackageLock;

  constructor() {
    super();
    const { name, version, sha256, files } = readWheel(wheelFile(SPEC), wheelBytes(SPEC));
    this.lock = { name, version, sha256 };
    this.tell({
      ...{ kind: 'host.package', sha256 },
      files: [...files].map(([path, { length }]) => [path, length]),
      base64: Buffer.concat([...files.values()]).toString('base64'),
    });
  }
}

test('an isolate has the packages that it is made with, at the same times in every one, and others have none', async (t) => {
  const hosted = new HostedPackages();
  hosted.open('a', { packages: [hosted.lock] });
  t.deepEqual(await hosted.value('a', 'import made, made.deep.er as er\n[made.value, er.value]'), [1, 2]);
  const times =
    'import os, pathlib\nsorted({os.stat(path).st_mtime for path in pathlib.Path("/lib/python3.14/site-packages").rglob("*")})';
  t.deepEqual(await hosted.value('a', times), [315_532_800]);
  hosted.open('b');
  t.is(await hosted.value('b', 'import made'), "ModuleNotFoundError: No module named 'made'");
  t.deepEqual(await hosted.value('b', 'import os\nos.listdir("/lib/python3.14/site-packages")'), []);
  hosted.close();
});

test('what a session does to the files of a package, no other one sees', async (t) => {
  const hosted = new HostedPackages();
  hosted.open('a', { packages: [hosted.lock] });
  const file = '/lib/python3.14/site-packages/made/__init__.py';
  t.is(await hosted.value('a', `open("${file}", "r+").write("value = 9")`), 9);
  const bytes = `import pyodide_js\nnode = pyodide_js.FS.lookupPath("${file}").node\nnode.contents[8] = 56\n`;
  t.is(await hosted.value('a', `${bytes}import made\nmade.value`), 8);
  hosted.open('b', { packages: [hosted.lock] });
  t.is(await hosted.value('b', 'import made\nmade.value'), 1);
  hosted.close();
});

test('code of a package that nothing of the session is waiting for is stopped as well, and the session goes on', async (t) => {
  const hosted = new HostedPackages();
  hosted.open('a', { packages: [hosted.lock] });
  const spins = 'import asyncio, made\nasyncio.get_running_loop().call_soon(made.spin)\nawait asyncio.sleep(1)';
  t.is(await hosted.value('a', spins, { cpuMs: 500 }), 'stopped by cpu');
  t.is(await hosted.value('a', 'made.value'), 1);
  hosted.close();
});
