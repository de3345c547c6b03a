/**
 * The paths that guest code writes: `/workspace/folder/file`, or `folder/file` under the first root of the grant. They are names in a
 * tree of ours and never paths of the machine. Nothing in them is decoded or expanded: a percent sign, a backslash and a tilde
 * are characters like any other.
 */
import { nameGlobMatches } from '../../policies/name-glob.ts';
import { FILE_LIMITS } from './file-limits.ts';

/** What the grant of a capability says about paths. */
export interface PathGrant {
  readonly roots: readonly string[];
  /** Globs for names, see `policies/name-glob.ts`. */
  readonly blocked: readonly string[];
}

export interface VirtualPath {
  /** Null for `/`, the list of the roots. */
  readonly root: string | null;
  readonly names: readonly string[];
  /** The one spelling of it: `/workspace/folder/file`. */
  readonly text: string;
}

/** Names that the daemon gives to what it is still writing; guest code neither sees nor uses them. */
export const OWN_NAME_PREFIX = '.pyrepl3-';

/** The path, or null where the grant does not let it be used, for whatever reason. */
export function grantedPath(text: string, grant: PathGrant): VirtualPath | null {
  const split = splitPath(text);
  if (split === null || (!split.absolute && grant.roots.length === 0)) return null;
  const [root, ...names] = split.absolute ? split.names : [...grant.roots.slice(0, 1), ...split.names];
  if (root === undefined) return split.absolute ? { root: null, names, text: '/' } : null;
  if (!grant.roots.includes(root) || names.some((name) => isBlocked(name, grant.blocked))) return null;
  return { root, names, text: `/${[root, ...names].join('/')}` };
}

/** One spelling of the path for records, as far as it is known without a grant; one that is no path is shown cut short. */
export function recordedPath(text: string): string {
  const split = splitPath(text);
  if (split === null) return text.length > 256 ? `${text.slice(0, 256)}…` : text;
  return (split.absolute ? '/' : '') + split.names.join('/');
}

export function isBlocked(name: string, blocked: readonly string[]): boolean {
  return nameGlobMatches(`${OWN_NAME_PREFIX}*`, name) || blocked.some((glob) => nameGlobMatches(glob, name));
}

function splitPath(text: string): { readonly absolute: boolean; readonly names: readonly string[] } | null {
  // A text that is not well-formed would reach the file system with its bad parts replaced, as the name of another file.
  if (text === '' || text.length > FILE_LIMITS.pathBytesMax || !text.isWellFormed() || text.includes('\0')) return null;
  if (Buffer.byteLength(text) > FILE_LIMITS.pathBytesMax) return null;
  const absolute = text.startsWith('/');
  if (text === '/') return { absolute, names: [] };
  // One slash at the end says no more than that a folder is meant.
  const names = text.slice(absolute ? 1 : 0, text.endsWith('/') ? -1 : undefined).split('/');
  if (names.some((name) => name === '' || name === '..' || Buffer.byteLength(name) > FILE_LIMITS.nameBytesMax))
    return null;
  const kept = names.filter((name) => name !== '.');
  if (kept.length > FILE_LIMITS.depthMax + (absolute ? 1 : 0)) return null;
  return { absolute, names: kept };
}
