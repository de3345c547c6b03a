import type { HostComputation } from './guest/kernel.ts';

/** The longest inputs of one computation, in UTF-16 code units together: a guest must not keep the host busy with parsing. */
const inputLengthMax = 65_536;

const settable = [
  'protocol',
  'username',
  'password',
  'host',
  'hostname',
  'port',
  'pathname',
  'search',
  'hash',
] as const;

/**
 * Parses and changes URLs for the guest, which has no URL parser of its own. A pure function of what the guest sends, all of which
 * is untrusted.
 * - `url.parse` takes (input, base or '' for none).
 * - `url.set` takes (href, component, value).
 *
 * Answers the components of the URL as JSON (`href`, `origin` and the nine that can be set), or null: the URL is invalid, the
 * component does not exist, the inputs are longer than 64 KiB together, or there are too few or too many of them.
 */
export function computeUrl(operation: HostComputation, args: readonly string[]): string | null {
  const count = operation === 'url.parse' ? 2 : 3;
  let length = 0;
  for (const argument of args) {
    if (typeof argument !== 'string') return null;
    length += argument.length;
  }
  if (args.length !== count || length > inputLengthMax) return null;
  const [first, second, value] = args as [string, string, string];
  if (operation === 'url.parse') return describe(second === '' ? URL.parse(first) : URL.parse(first, second));
  const component = settable.find((name) => name === second);
  const url = component === undefined ? null : URL.parse(first);
  if (url !== null && component !== undefined) url[component] = value;
  return describe(url);
}

function describe(url: URL | null): string | null {
  if (url === null) return null;
  const { href, origin, protocol, username, password, host, hostname, port, pathname, search, hash } = url;
  return JSON.stringify({ href, origin, protocol, username, password, host, hostname, port, pathname, search, hash });
}
