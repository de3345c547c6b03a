/**
 * Which addresses guest code may be connected to: public ones, and those that the grant lists. What is neither is
 * refused: this machine, private networks, link-local and metadata services, multicast, everything reserved, and
 * every form of IPv6 that carries such an IPv4 address. Pure.
 */
import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/**
 * Addresses out of a public range at which a cloud answers its own machines, with their credentials: Azure's wire
 * server.
 */
const METADATA: ReadonlySet<string> = new Set(['168.63.129.16']);

const GLOBAL_UNICAST: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('2000::'), 3];
const NAT64: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('64:ff9b::'), 96];

/**
 * @param text an address in its usual form, as a resolver answers it or a URL has it (without brackets)
 * @param listed addresses and CIDR ranges; a malformed one lists nothing
 */
export function isAddressAllowed(text: string, listed: readonly string[]): boolean {
  const address = parse(text);
  return address !== null && (isPublic(address) || listed.some((range) => isWithin(address, range)));
}

/** An IPv4-mapped address is the IPv4 address: the operating system connects to that. */
function parse(text: string): Address | null {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  if (!ipaddr.IPv6.isValid(text)) return null;
  const address = ipaddr.IPv6.parse(text);
  // A zone names an interface of this machine.
  if (address.zoneId) return null;
  return address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

function isPublic(address: Address): boolean {
  if (address instanceof ipaddr.IPv4) return address.range() === 'unicast' && !METADATA.has(address.toString());
  const carried = carriedAddresses(address);
  if (carried.length > 0) return carried.every(isPublic);
  return address.match(GLOBAL_UNICAST) && address.range() === 'unicast';
}

/** The IPv4 addresses that a relay or a translator on the way might send this one's packets to. */
function carriedAddresses(address: ipaddr.IPv6): readonly ipaddr.IPv4[] {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = address.parts;
  // 6to4 (RFC 3056).
  if (a === 0x2002) return [ipv4(b, c)];
  // Teredo (RFC 4380): the server, and the client with its bits turned.
  if (a === 0x2001 && b === 0) return [ipv4(c, d), ipv4(g ^ 0xffff, h ^ 0xffff)];
  // NAT64 (RFC 6052). Its range for local use, 64:ff9b:1::/48, is not public at all.
  if (address.match(NAT64)) return [ipv4(g, h)];
  // ISATAP (RFC 5214).
  if ((e & 0xfdff) === 0 && f === 0x5efe) return [ipv4(g, h)];
  return [];
}

function ipv4(high: number, low: number): ipaddr.IPv4 {
  return new ipaddr.IPv4([high >> 8, high & 0xff, low >> 8, low & 0xff]);
}

function isWithin(address: Address, range: string): boolean {
  const slash = range.indexOf('/');
  const base = parse(slash === -1 ? range : range.slice(0, slash));
  if (base === null || base.kind() !== address.kind()) return false;
  const width = base.kind() === 'ipv4' ? 32 : 128;
  const bits = slash === -1 ? String(width) : range.slice(slash + 1);
  return /^\d{1,3}$/.test(bits) && Number(bits) <= width && address.match(base, Number(bits));
}
