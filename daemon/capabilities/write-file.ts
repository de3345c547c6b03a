import { hash } from 'node:crypto';
import * as v from 'valibot';
import type { ConstraintsOf } from '../../policies/capabilities.ts';
import { FILE_DENIED } from '../files/file-faults.ts';
import type { FileRoots } from '../files/file-roots.ts';
import { openPath } from '../files/open-path.ts';
import { grantedPath, recordedPath } from '../files/virtual-path.ts';
import { type CallContext, Capability } from './capability.ts';
import type { AllowedCall } from './gate.ts';
import { bytesOf, wireData } from './wire-data.ts';

const args = v.strictTuple(
  [
    v.string('the path must be a string'),
    wireData('the contents'),
    v.optional(
      v.strictObject(
        { append: v.optional(v.boolean()), exclusive: v.optional(v.boolean()) },
        'the options may hold append and exclusive, and nothing else',
      ),
    ),
  ],
  'there must be a path and contents, and perhaps options',
);

type WriteArgs = v.InferOutput<typeof args>;

/** `write_file(path, contents, {append?, exclusive?}?)`. */
export class WriteFileCapability extends Capability<'write_file', WriteArgs> {
  override readonly name = 'write_file';
  override readonly summary = 'Writes a file under the roots of the session, within its quota.';
  override readonly signature = `/**
 * Writes a file and makes the folders it needs. The path is "/workspace/folder/file", or relative to the first root.
 * An existing file is replaced as a whole; with \`append\` it grows; with \`exclusive\` it must not be there.
 * Answers the size of the file afterwards. Files can be read by nobody but the daemon, and never be run as programs.
 * Fails with CAPABILITY_DENIED for a path that is not open, EFFECT_FAILED (details.reason "exists", "not-a-file", "no-space", …),
 * TOO_LARGE for a larger file, or more bytes or files and folders in all, than the level allows (details.limit).
 */
declare function write_file(
  path: string,
  contents: string | Uint8Array,
  options?: { append?: boolean; exclusive?: boolean },
): Promise<{ bytes: number }>;`;
  override readonly stub =
    'async def write_file(path: str, contents: str | bytes, *, append: bool = False, exclusive: bool = False) -> dict[str, int]: ...';
  override readonly idempotent = false;
  override readonly patient = false;
  override readonly args = args;
  readonly #files: FileRoots;

  constructor(files: FileRoots) {
    super();
    this.#files = files;
  }

  override refuse([path]: WriteArgs, constraints: ConstraintsOf<'write_file'>): string | null {
    return grantedPath(path, constraints)?.root == null ? FILE_DENIED : null;
  }

  override audited([path, contents, options]: WriteArgs): unknown {
    const bytes = bytesOf(contents);
    return [recordedPath(path), { bytes: bytes.length, sha256: hash('sha256', bytes) }, ...(options ? [options] : [])];
  }

  override async invoke(call: AllowedCall<'write_file', WriteArgs>, context: CallContext): Promise<{ bytes: number }> {
    const [path, contents, { append = false, exclusive = false } = {}] = call.args;
    const { fileBytesMax, totalBytesMax, filesMax } = call.constraints;
    const { root, names } = openPath(this.#files, call, path, context);
    const options = { append, exclusive, fileBytesMax, totalBytesMax, filesMax };
    return { bytes: await root.write(names, bytesOf(contents), options) };
  }
}
