/** Address ranges as a policy writes them: one address, or CIDR notation. What they match is the daemon's to compute. */

const EXPECTED = 'it must be an IP address, or a range such as 10.0.0.0/8 or fd00::/8';

/** What is wrong with the text as an address range; null where nothing is. */
export function addressRangeProblem(text: string): string | null {
  const [address = '', bits, ...rest] = text.split('/');
  const width = isIpv4(address) ? 32 : isIpv6(address) ? 128 : 0;
  if (width === 0 || rest.length > 0) return EXPECTED;
  if (bits === undefined) return null;
  return /^\d{1,3}$/.test(bits) && Number(bits) <= width ? null : EXPECTED;
}

function isIpv4(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

/** RFC 4291 section 2.2, without the mixed form, which would say the same address in two ways. */
function isIpv6(text: string): boolean {
  const halves = text.split('::');
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return false;
  return halves.length === 2 ? groups.length < 8 : groups.length === 8;
}
