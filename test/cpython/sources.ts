/**
 * CPython's own regression tests as Debian packages them: nothing of them is in this repository, and nothing is installed on the
 * machine. They are downloaded by the machine's own apt, from the mirror that it uses, into a folder under `node_modules`.
 */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** The release of Debian whose CPython has the version that `pyodide` has; a machine of an older one can read its packages. */
const RELEASE = 'forky';
const PYTHON = 'python3.14';
const PACKAGES = [`lib${PYTHON}-testsuite`, `lib${PYTHON}-stdlib`];
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/cpython-tests', import.meta.url));
const DOWNLOAD_MS_MAX = 300_000;

export interface Sources {
  /** The folder that holds the package `test`. */
  readonly folder: string;
  /** What they are the tests of, as Debian says it: `3.14.8-1`. */
  readonly version: string;
}

const command = promisify(execFile);

/** @throws Error that says why they cannot be had here */
export async function cpythonTests(): Promise<Sources> {
  return cached() ?? (await download());
}

function cached(): Sources | undefined {
  const version = existsSync(CACHE) ? readdirSync(CACHE).find((name) => /^3\.\d/.test(name)) : undefined;
  return version === undefined ? undefined : { folder: join(CACHE, version), version };
}

async function download(): Promise<Sources> {
  const work = mkdtempSync(join(tmpdir(), 'pyrepl3-cpython-'));
  try {
    const apt = await aptOfRelease(work);
    await apt('apt-get', 'update');
    await apt('apt-get', 'download', ...PACKAGES);
    const files = readdirSync(work).filter((name) => name.endsWith('.deb'));
    for (const file of files) await command('dpkg-deb', ['-x', join(work, file), join(work, 'files')]);
    const version = /_([^_]+)_/.exec(files.find((name) => name.includes('-testsuite_')) ?? '')?.[1];
    if (version === undefined) throw new Error('the package has not arrived');
    const unfinished = join(CACHE, `.${process.pid}`);
    mkdirSync(unfinished, { recursive: true });
    cpSync(join(work, 'files/usr/lib', PYTHON, 'test'), join(unfinished, 'test'), { recursive: true });
    renameSync(unfinished, join(CACHE, version));
    return { folder: join(CACHE, version), version };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`CPython's tests come from Debian's packages ${PACKAGES.join(' and ')}, by apt: ${why}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** apt for the packages of the release, with its lists and its cache in `work`, so that it needs not be root and changes nothing. */
async function aptOfRelease(work: string): Promise<(name: string, ...args: string[]) => Promise<unknown>> {
  const { stdout } = await command('apt-get', ['indextargets', '--format', '$(SITE) $(ORIGIN)']);
  const mirror = stdout.split('\n').find((line) => line.endsWith(' Debian'));
  if (mirror === undefined) throw new Error('this machine knows no mirror of Debian');
  for (const folder of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(work, folder), { recursive: true });
  writeFileSync(join(work, 'sources.list'), `deb ${mirror.split(' ')[0]} ${RELEASE} main\n`);
  const options = [
    `Dir::Etc::SourceList=${work}/sources.list`,
    'Dir::Etc::SourceParts=-',
    `Dir::State::Lists=${work}/lists`,
    `Dir::Cache=${work}/cache`,
    'APT::Sandbox::User=root',
    'Acquire::Languages=none',
  ].flatMap((option) => ['-o', option]);
  return (name, ...args) =>
    command(name, [...options, ...args], { cwd: work, timeout: DOWNLOAD_MS_MAX, maxBuffer: 16 * 1024 * 1024 });
}
