/** The size of JSON data as text; infinite where it is nested too deeply to be written. */
export function jsonBytes(value: unknown): number {
  try {
    return Buffer.byteLength(JSON.stringify(value) ?? 'null');
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
