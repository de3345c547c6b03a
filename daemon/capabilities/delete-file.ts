import * as v from 'valibot';
import type { ConstraintsOf } from '../../policies/capabilities.ts';
import { FILE_DENIED } from '../files/file-faults.ts';
import type { FileRoots } from '../files/file-roots.ts';
import { openPath } from '../files/open-path.ts';
import { grantedPath, recordedPath } from '../files/virtual-path.ts';
import { type CallContext, Capability } from './capability.ts';
import type { AllowedCall } from './gate.ts';

type DeleteArgs = [path: string];

/** `delete_file(path)`. */
export class DeleteFileCapability extends Capability<'delete_file', DeleteArgs> {
  override readonly name = 'delete_file';
  override readonly summary = 'Deletes a file or an empty folder under the roots of the session.';
  override readonly signature = `/**
 * Deletes a file or an empty folder, never a root. The path is "/workspace/folder/file", or relative to the first root.
 * Fails with CAPABILITY_DENIED for a path that is not open, EFFECT_FAILED (details.reason "not-found", "not-empty", …).
 */
declare function delete_file(path: string): Promise<true>;`;
  override readonly stub = 'async def delete_file(path: str) -> bool: ...';
  override readonly idempotent = false;
  override readonly patient = false;
  override readonly args = v.strictTuple(
    [v.string('the path must be a string')],
    'there must be a path and nothing else',
  );
  readonly #files: FileRoots;

  constructor(files: FileRoots) {
    super();
    this.#files = files;
  }

  override refuse([path]: DeleteArgs, constraints: ConstraintsOf<'delete_file'>): string | null {
    const granted = grantedPath(path, constraints);
    return granted === null || granted.names.length === 0 ? FILE_DENIED : null;
  }

  override audited([path]: DeleteArgs): unknown {
    return [recordedPath(path)];
  }

  override async invoke(call: AllowedCall<'delete_file', DeleteArgs>, context: CallContext): Promise<true> {
    const { root, names } = openPath(this.#files, call, call.args[0], context);
    await root.remove(names);
    return true;
  }
}
