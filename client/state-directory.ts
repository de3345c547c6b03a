import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** Where a daemon keeps its sockets unless told otherwise, by the XDG base directory rules (a relative path is ignored). */
export function defaultStateDirectory(env: Readonly<Record<string, string | undefined>>): string {
  return join(xdgStateHome(env), 'pyrepl3');
}

function xdgStateHome(env: Readonly<Record<string, string | undefined>>): string {
  const { XDG_STATE_HOME: home } = env;
  return home !== undefined && isAbsolute(home) ? home : join(homedir(), '.local', 'state');
}
