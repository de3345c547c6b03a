/**
 * Host rules: which servers a grant lets code reach. A rule is `host[:port][/path]`.
 *
 * - The host is `*` (any), `*.example.com` (every name below it, not itself), a name, or an address (IPv6 in brackets).
 * - Without a port it stands for 80 and 443, with `:*` for every port.
 * - Without a path it stands for every path. A path that ends in `*` is a prefix, every other one is exact.
 *
 * Names are compared label by label: `example.com` says nothing about `evilexample.com` or `example.com.evil.net`.
 */

/** What a rule is asked about: the parts of one parsed URL. */
export interface HostTarget {
  /** As `URL.hostname` gives it, so an IPv6 address stands in brackets. */
  readonly host: string;
  readonly port: number;
  /** As `URL.pathname` gives it: percent-encoded, dot segments resolved. */
  readonly path: string;
}

interface HostRule {
  /** Lower case, without a trailing dot. */
  readonly host: string;
  /** As written, without its colon; null where the rule says nothing of ports. */
  readonly port: string | null;
  /** With its slash and, for a prefix, its star; null where the rule says nothing of paths. */
  readonly path: string | null;
}

const DEFAULT_PORTS: readonly number[] = [80, 443];
const PORT_MAX = 65_535;
const EXPECTED = 'it must be host[:port][/path], such as api.example.com, *.example.com:8443 or example.com/public/*';

/** What is wrong with the text as a host rule; null where nothing is. */
export function hostRuleProblem(text: string): string | null {
  const rule = parse(text);
  if (rule === null) return EXPECTED;
  return hostProblem(rule.host) ?? portProblem(rule.port) ?? pathProblem(rule.path);
}

/** Whether the rule lets code reach the target. */
export function hostRuleAllows(text: string, target: HostTarget): boolean {
  const rule = parse(text);
  return (
    rule !== null &&
    matchesHost(rule.host, canonicalHost(target.host)) &&
    matchesPort(rule.port, target.port) &&
    matchesPath(rule.path, target.path)
  );
}

/** Whether the rule names the host, whatever it says of ports and paths: what counts for looking a name up. */
export function hostRuleAllowsHost(text: string, host: string): boolean {
  const rule = parse(text);
  return rule !== null && matchesHost(rule.host, canonicalHost(host));
}

/** Whether the rule says which port it means. */
export function hostRuleNamesPort(text: string): boolean {
  return (parse(text)?.port ?? null) !== null;
}

/** Whether the wider rule allows every target that the narrower one allows. */
export function hostRuleCovers(wider: string, narrower: string): boolean {
  const outer = parse(wider);
  const inner = parse(narrower);
  if (outer === null || inner === null) return false;
  return coversHost(outer.host, inner.host) && coversPort(outer.port, inner.port) && coversPath(outer.path, inner.path);
}

function parse(text: string): HostRule | null {
  const slash = text.indexOf('/');
  const authority = slash === -1 ? text : text.slice(0, slash);
  // The colons inside brackets are an IPv6 address's own.
  const colon = authority.indexOf(':', authority.startsWith('[') ? authority.indexOf(']') : 0);
  const host = canonicalHost(colon === -1 ? authority : authority.slice(0, colon));
  if (host === '') return null;
  return {
    host,
    port: colon === -1 ? null : authority.slice(colon + 1),
    path: slash === -1 ? null : text.slice(slash),
  };
}

function canonicalHost(host: string): string {
  const lower = host.toLowerCase();
  return lower.endsWith('.') ? lower.slice(0, -1) : lower;
}

function hostProblem(host: string): string | null {
  if (host === '*') return null;
  const isWildcard = host.startsWith('*.');
  const name = isWildcard ? host.slice(2) : host;
  if (name.includes('*')) return 'a * stands alone, or for the first labels of a name: *.example.com';
  const canonical = canonicalName(name);
  if (canonical === null || canonical.split('.').includes('')) return EXPECTED;
  if (isWildcard && isAddress(canonical)) return 'an address has no names below it';
  // Names in other scripts, and addresses written as 127.1 or 0x7f000001, have one spelling that all requests are
  // brought to.
  return canonical === name ? null : `write it as ${isWildcard ? '*.' : ''}${canonical}`;
}

/** The spelling that every request's URL is brought to; null for what is no host. */
function canonicalName(name: string): string | null {
  if (/[\s@\\?#/%]/.test(name)) return null;
  const url = URL.parse(`http://${name}/`);
  return url === null || url.port !== '' ? null : url.hostname;
}

function isAddress(host: string): boolean {
  return host.startsWith('[') || /^\d+\.\d+\.\d+\.\d+$/.test(host);
}

function portProblem(port: string | null): string | null {
  if (port === null || port === '*') return null;
  return /^[1-9]\d{0,4}$/.test(port) && Number(port) <= PORT_MAX ? null : `a port is 1 to ${PORT_MAX}, or * for any`;
}

function pathProblem(path: string | null): string | null {
  if (path === null) return null;
  if (/[?#]/.test(path)) return 'a path has no ? or #; queries cannot be told apart by a rule';
  const fixed = path.endsWith('*') ? path.slice(0, -1) : path;
  if (fixed.includes('*')) return 'a * stands only at the end of a path';
  if (climbs(fixed)) return 'a path has no ".." in it';
  const canonical = URL.parse(`http://host${fixed}`)?.pathname;
  if (canonical === undefined) return EXPECTED;
  return canonical === fixed ? null : `write the path as ${canonical}${path.endsWith('*') ? '*' : ''}`;
}

function matchesHost(rule: string, host: string): boolean {
  if (rule === '*') return true;
  // What is left of the star is the dot before the first fixed label, so only whole labels match.
  return rule.startsWith('*.') ? host.length > rule.length - 1 && host.endsWith(rule.slice(1)) : host === rule;
}

function coversHost(outer: string, inner: string): boolean {
  return outer === inner || (inner !== '*' && matchesHost(outer, inner));
}

function matchesPort(rule: string | null, port: number): boolean {
  if (rule === null) return DEFAULT_PORTS.includes(port);
  return rule === '*' || rule === String(port);
}

function coversPort(outer: string | null, inner: string | null): boolean {
  if (outer === '*' || outer === inner) return true;
  return inner !== null && inner !== '*' && matchesPort(outer, Number(inner));
}

function matchesPath(rule: string | null, path: string): boolean {
  if (rule === null) return true;
  return rule.endsWith('*') ? path.startsWith(rule.slice(0, -1)) && !climbs(path) : path === rule;
}

function coversPath(outer: string | null, inner: string | null): boolean {
  if (outer === null || outer === inner) return true;
  if (inner === null) return false;
  if (!inner.endsWith('*')) return matchesPath(outer, inner);
  return outer.endsWith('*') && matchesPath(outer, inner.slice(0, -1));
}

/**
 * Whether a server might take a path for one that leaves the folder it begins with: servers differ in whether they
 * decode `%2f` and `%2e` before they resolve `..`, how often, and whether `..;x` is `..`. A prefix rule holds for all
 * of them.
 */
function climbs(path: string): boolean {
  let text = path;
  // No server in use decodes more often.
  for (let pass = 0; pass < 3; pass++) {
    text = text.replace(/%([0-9a-f]{2})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
  }
  return text.split(/[/\\]/).some((segment) => segment === '..' || segment.startsWith('..;'));
}
