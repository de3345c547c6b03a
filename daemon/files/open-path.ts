/** From a path that guest code wrote to the root it stands under. */
import type { CallContext } from '../capabilities/capability.ts';
import { fileDenied } from './file-faults.ts';
import type { FileRoots } from './file-roots.ts';
import type { Root } from './root.ts';
import { grantedPath, type PathGrant } from './virtual-path.ts';

export interface OpenedPath {
  readonly root: Root;
  /** The names under the root. */
  readonly names: readonly string[];
}

/** Fails with CAPABILITY_DENIED where the grant does not let the path be used. */
export function openPath(
  files: FileRoots,
  call: { readonly capability: string; readonly constraints: PathGrant },
  text: string,
  { sessionId, signal }: Pick<CallContext, 'sessionId' | 'signal'>,
): OpenedPath {
  const { capability, constraints } = call;
  const path = grantedPath(text, constraints);
  if (path === null || path.root === null) throw fileDenied(capability);
  const root = files.open(path.root, sessionId, { capability, blocked: constraints.blocked, signal });
  return { root, names: path.names };
}
