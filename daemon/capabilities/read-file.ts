import * as v from 'valibot';
import type { ConstraintsOf } from '../../policies/capabilities.ts';
import { FILE_DENIED } from '../files/file-faults.ts';
import type { FileRoots } from '../files/file-roots.ts';
import { openPath } from '../files/open-path.ts';
import { grantedPath, recordedPath } from '../files/virtual-path.ts';
import { type CallContext, Capability } from './capability.ts';
import type { AllowedCall } from './gate.ts';
import type { WireData } from './wire-data.ts';

const WHOLE = 'a whole number of bytes from 0 on';
const count = v.pipe(v.number(WHOLE), v.safeInteger(WHOLE), v.minValue(0, WHOLE));

const args = v.strictTuple(
  [
    v.string('the path must be a string'),
    v.optional(
      v.strictObject(
        {
          encoding: v.optional(v.picklist(['utf8', 'bytes'], 'the encoding is "utf8" or "bytes"')),
          offset: v.optional(count),
          length: v.optional(count),
        },
        'the options may hold encoding, offset and length, and nothing else',
      ),
    ),
  ],
  'there must be a path, and perhaps options',
);

type ReadArgs = v.InferOutput<typeof args>;

/** `read_file(path, {encoding?, offset?, length?}?)`. */
export class ReadFileCapability extends Capability<'read_file', ReadArgs> {
  override readonly name = 'read_file';
  override readonly summary = 'Reads a file, or a part of one, under the roots of the session.';
  override readonly signature = `/**
 * Reads a file as text, or with encoding "bytes" as bytes. The path is "/workspace/folder/file", or relative to the first root.
 * \`offset\` and \`length\` count bytes and choose a part of it. What is not valid UTF-8 in a text is replaced by U+FFFD.
 * Fails with CAPABILITY_DENIED for a path that is not open, EFFECT_FAILED (details.reason "not-found", "not-a-file", …),
 * TOO_LARGE for more at once than the level allows.
 */
declare function read_file(path: string, options?: { encoding?: 'utf8'; offset?: number; length?: number }): Promise<string>;
declare function read_file(path: string, options: { encoding: 'bytes'; offset?: number; length?: number }): Promise<Uint8Array>;`;
  override readonly stub =
    'async def read_file(path: str, *, encoding: str = "utf8", offset: int = 0, length: int | None = None) -> str | bytes: ...';
  override readonly idempotent = true;
  override readonly readOnly = true;
  override readonly patient = false;
  override readonly args = args;
  readonly #files: FileRoots;

  constructor(files: FileRoots) {
    super();
    this.#files = files;
  }

  override refuse([path]: ReadArgs, constraints: ConstraintsOf<'read_file'>): string | null {
    return grantedPath(path, constraints)?.root == null ? FILE_DENIED : null;
  }

  override audited([path, options]: ReadArgs): unknown {
    return options === undefined ? [recordedPath(path)] : [recordedPath(path), options];
  }

  override async invoke(call: AllowedCall<'read_file', ReadArgs>, context: CallContext): Promise<WireData> {
    const [path, { encoding = 'utf8', offset = 0, length = null } = {}] = call.args;
    const { root, names } = openPath(this.#files, call, path, context);
    const bytes = await root.read(names, { offset, length, bytesMax: call.constraints.fileBytesMax });
    return encoding === 'utf8' ? { text: bytes.toString('utf8') } : { base64: bytes.toString('base64') };
  }
}
