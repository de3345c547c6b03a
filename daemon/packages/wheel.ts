/**
 * One wheel, read as what an isolate is given of it. What is in it is held against its own record, so that a file which was damaged,
 * or changed without care, is refused here and not found out by code that behaves oddly.
 *
 * I1: no path leads out of the folder that packages lie in.
 * I2: nothing is unpacked beyond the bounds, whatever the archive says of itself.
 */
import { createHash } from 'node:crypto';
import { eq, satisfies, valid, validRange } from '@renovatebot/pep440';
import { type UnzipFileInfo, unzipSync } from 'fflate';
import { packageName } from '../../policies/packages.ts';
import { WHEEL_LIMITS } from './wheel-limits.ts';
import { PYTHON, readWheelName } from './wheel-name.ts';

export interface Wheel {
  /** Normalized. */
  readonly name: string;
  readonly version: string;
  /** Of the file. */
  readonly sha256: string;
  /** As its metadata have them: `foo>=1; python_version < "3.9"`. */
  readonly requires: readonly string[];
  /** By their paths in the folder of packages. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly unpackedBytes: number;
}

/** Why a file is no wheel that can be used: a clause about it. */
export class WheelProblem extends Error {}

const NATIVE = /\.so$/;
const SIGNATURES = /\.dist-info\/RECORD(?:\.jws|\.p7s)?$/;

/** Fails with a `WheelProblem`. */
export function readWheel(file: string, bytes: Uint8Array): Wheel {
  const named = readWheelName(file);
  if (named === null) throw new WheelProblem('it is not named as wheels are: name-version-py3-none-any.whl');
  if (named.unfit !== null) throw new WheelProblem(named.unfit);
  const entries = unpack(bytes);
  const info = infoFolder(entries, named.stem);
  checkRecord(entries, info);
  const metadata = readFields(textOf(entries, `${info}/METADATA`));
  checkMetadata(metadata, named);
  const layout = Number(
    readFields(textOf(entries, `${info}/WHEEL`))
      .get('wheel-version')?.[0]
      ?.split('.')[0],
  );
  if (layout !== 1) throw new WheelProblem(`it has a layout that is not known here (Wheel-Version ${layout || '?'})`);
  const files = placed(entries, info);
  return {
    name: named.name,
    version: metadata.get('version')?.[0] ?? named.version,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    requires: metadata.get('requires-dist') ?? [],
    files,
    unpackedBytes: [...files.values()].reduce((sum, { length }) => sum + length, 0),
  };
}

// --- the archive -----------------------------------------------------------------------------------------------------

function unpack(bytes: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const sizes = new Map<string, number>();
  let total = 0;
  const wanted = ({ name, size, originalSize }: UnzipFileInfo): boolean => {
    const problem = pathProblem(name);
    if (problem !== null) throw new WheelProblem(`it holds the path ${JSON.stringify(name.slice(0, 100))}, ${problem}`);
    if (name.endsWith('/')) return false;
    if (sizes.has(name)) throw new WheelProblem(`it holds ${name} twice`);
    total += Math.max(size, originalSize);
    if (sizes.size >= WHEEL_LIMITS.filesMax)
      throw new WheelProblem(`it holds more than ${WHEEL_LIMITS.filesMax} files`);
    if (!(total <= WHEEL_LIMITS.unpackedBytesMax))
      throw new WheelProblem(`it holds more than ${WHEEL_LIMITS.unpackedBytesMax} bytes when unpacked`);
    if (NATIVE.test(name)) throw new WheelProblem(`it holds native code (${name}); sessions can only use pure Python`);
    sizes.set(name, originalSize);
    return true;
  };
  let unpacked: Record<string, Uint8Array>;
  try {
    unpacked = unzipSync(bytes, { filter: wanted });
  } catch (error) {
    if (error instanceof WheelProblem) throw error;
    throw new WheelProblem(`it is not a zip archive that can be read (${(error as Error).message})`);
  }
  return new Map(Object.entries(unpacked));
}

function pathProblem(path: string): string | null {
  const parts = (path.endsWith('/') ? path.slice(0, -1) : path).split('/');
  if (path.startsWith('/') || parts.includes('..')) return 'which leads out of it';
  if (parts.some((part) => part === '' || part === '.') || /[\\\u0000-\u001f\u007f]/.test(path))
    return 'which is not a path of a wheel';
  return path.length > WHEEL_LIMITS.pathLengthMax ? `of more than ${WHEEL_LIMITS.pathLengthMax} characters` : null;
}

function infoFolder(entries: ReadonlyMap<string, Uint8Array>, stem: string): string {
  const folders = new Set([...entries.keys()].flatMap((path) => /^[^/]+\.dist-info(?=\/)/.exec(path)?.[0] ?? []));
  const [folder, ...others] = folders;
  if (folder === undefined) throw new WheelProblem('it has no .dist-info, so it is no wheel');
  if (others.length > 0) throw new WheelProblem(`it has more than one .dist-info: ${[...folders].join(', ')}`);
  if (packageName(folder) !== packageName(`${stem}.dist-info`))
    throw new WheelProblem(`its file name does not belong to its ${folder}`);
  return folder;
}

function textOf(entries: ReadonlyMap<string, Uint8Array>, path: string): string {
  const bytes = entries.get(path);
  if (bytes === undefined) throw new WheelProblem(`it has no ${path}`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new WheelProblem(`its ${path} is not UTF-8 text`);
  }
}

/** Every file is in the record, with the hash that it has. */
function checkRecord(entries: ReadonlyMap<string, Uint8Array>, info: string): void {
  const hashes = new Map<string, string>();
  for (const line of textOf(entries, `${info}/RECORD`).split(/\r?\n/)) {
    const [, quoted, plain, hash = ''] = /^(?:"((?:[^"]|"")*)"|([^",]*)),([^,]*),\d*$/.exec(line) ?? [];
    const path = quoted?.replaceAll('""', '"') ?? plain;
    if (path !== undefined) hashes.set(path, hash);
  }
  for (const [path, bytes] of entries) {
    if (SIGNATURES.test(path)) continue;
    const [, algorithm, expected] = /^(sha256|sha384|sha512)=([\w-]+)=*$/.exec(hashes.get(path) ?? '') ?? [];
    if (algorithm === undefined) throw new WheelProblem(`its RECORD has no hash of ${path}`);
    if (createHash(algorithm).update(bytes).digest('base64url') !== expected)
      throw new WheelProblem(`its ${path} is not what its RECORD says`);
  }
}

// --- what it says of itself ------------------------------------------------------------------------------------------

/** The fields of the head of a text in the form of a mail, by their names in lower case. */
function readFields(text: string): ReadonlyMap<string, readonly string[]> {
  const fields = new Map<string, string[]>();
  const head = text.split(/\r?\n\r?\n/)[0] ?? '';
  for (const line of head.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/)) {
    const [, name, value] = /^([\w-]+):(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    const values = fields.get(name.toLowerCase()) ?? [];
    values.push(value.trim());
    fields.set(name.toLowerCase(), values);
  }
  return fields;
}

function checkMetadata(
  metadata: ReadonlyMap<string, readonly string[]>,
  named: { readonly name: string; readonly version: string },
): void {
  const [name = '', version = '', python] = ['name', 'version', 'requires-python'].map((key) => metadata.get(key)?.[0]);
  if (packageName(name) !== named.name)
    throw new WheelProblem(`its metadata are those of ${JSON.stringify(name.slice(0, 100))}`);
  if (!isSameVersion(version, named.version))
    throw new WheelProblem(`its metadata are those of version ${JSON.stringify(version.slice(0, 100))}`);
  if (python !== undefined && validRange(python) && !satisfies(PYTHON.fullVersion, python))
    throw new WheelProblem(`it requires Python ${python.slice(0, 100)}; sessions have ${PYTHON.version}`);
}

export function isSameVersion(one: string, other: string): boolean {
  return valid(one) !== null && valid(other) !== null ? eq(one, other) : one === other;
}

/** Where installing puts its files. Scripts, headers and data for elsewhere on a machine are of no use in an isolate. */
function placed(entries: ReadonlyMap<string, Uint8Array>, info: string): ReadonlyMap<string, Uint8Array> {
  const data = `${info.slice(0, -'.dist-info'.length)}.data/`;
  const files = new Map<string, Uint8Array>();
  for (const [path, bytes] of entries) {
    if (!path.startsWith(data)) files.set(path, bytes);
    const [, inside] = /^(?:purelib|platlib)\/(.+)$/.exec(path.slice(data.length)) ?? [];
    if (path.startsWith(data) && inside !== undefined) files.set(inside, bytes);
  }
  return files;
}
