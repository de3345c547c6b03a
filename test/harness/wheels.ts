/** Wheels of tests' own: small, and whole in every way that they are not meant to be broken in. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { zipSync } from 'fflate';

export interface WheelSpec {
  readonly name: string;
  readonly version?: string;
  readonly tag?: string;
  /** By their paths; a module of the package's name where there is nothing else. */
  readonly files?: Readonly<Record<string, string>>;
  /** Lines of the metadata, before name and version. */
  readonly metadata?: readonly string[];
  /** Files that are put in after the record was made, or in place of others. */
  readonly unrecorded?: Readonly<Record<string, string>>;
}

export const wheelFile = ({ name, version = '1.0', tag = 'py3-none-any' }: WheelSpec): string =>
  `${name.replaceAll('-', '_')}-${version}-${tag}.whl`;

export function wheelBytes(spec: WheelSpec): Uint8Array {
  const { name, version = '1.0', tag = 'py3-none-any', metadata = [], unrecorded = {} } = spec;
  const stem = name.replaceAll('-', '_');
  const info = `${stem}-${version}.dist-info`;
  const files: Record<string, string> = {
    ...(spec.files ?? { [`${stem}.py`]: `__version__ = ${JSON.stringify(version)}\n` }),
    [`${info}/METADATA`]: [
      'Metadata-Version: 2.1',
      ...metadata,
      `Name: ${name}`,
      `Version: ${version}`,
      '',
      'About.',
    ].join('\n'),
    [`${info}/WHEEL`]: `Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: ${tag}\n`,
  };
  const record = Object.entries(files).map(
    ([path, text]) =>
      `${path.includes(',') ? JSON.stringify(path) : path},sha256=${createHash('sha256').update(text).digest('base64url')},${Buffer.byteLength(text)}`,
  );
  files[`${info}/RECORD`] = [...record, `${info}/RECORD,,`, ''].join('\n');
  const all = Object.entries({ ...files, ...unrecorded }).map(([path, text]) => [path, Buffer.from(text)] as const);
  return zipSync(Object.fromEntries(all), { mtime: '2020-01-01' });
}

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A folder that is gone after the test. */
export class WheelFolderOfTest {
  readonly path: string;

  constructor(t: Pick<ExecutionContext, 'teardown'>) {
    this.path = mkdtempSync(join(tmpdir(), 'pyrepl3-wheels-'));
    t.teardown(() => rmSync(this.path, { recursive: true, force: true }));
  }

  /** Answers the hash of the wheel. */
  add(spec: WheelSpec): string {
    return this.write(wheelFile(spec), wheelBytes(spec));
  }

  write(file: string, bytes: Uint8Array): string {
    writeFileSync(join(this.path, file), bytes);
    return sha256Of(bytes);
  }
}
