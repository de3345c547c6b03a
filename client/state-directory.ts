import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** Where a daemon keeps its sockets unless told otherwise, by the XDG base directory rules (a relative path is ignored). */
export function defaultStateDirectory(env: Readonly<Record<string, string | undefined>>): string {
  return join(xdgStateHome(env), 'pyrepl3');
}

/** Where a daemon keeps what it can make again, by the same rules. */
export function defaultCacheDirectory({ XDG_CACHE_HOME: home }: Readonly<Record<string, string | undefined>>): string {
  return join(home !== undefined && isAbsolute(home) ? home : join(homedir(), '.cache'), 'pyrepl3');
}

function xdgStateHome(env: Readonly<Record<string, string | undefined>>): string {
  const { XDG_STATE_HOME: home } = env;
  return home !== undefined && isAbsolute(home) ? home : join(homedir(), '.local', 'state');
}
