/** The outside of an image: its name says what it can be used with, and what is damaged is none. */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

const IMAGE_BYTES_MAX = 24 * 1024 * 1024;
const NEW_LINE = 10;

/** In base64; undefined where it is too large to be kept. */
export function packImage(name: string, content: Buffer): string | undefined {
  const packed = zstdCompressSync(content, {
    params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 },
  });
  const whole = Buffer.concat([Buffer.from(`${name}\n`), packed]);
  return whole.length > IMAGE_BYTES_MAX ? undefined : whole.toString('base64');
}

/** Its content, of at most `bytesMax`; undefined where it has another name, or is damaged. */
export function unpackImage(name: string, encoded: string, bytesMax: number): Buffer | undefined {
  const bytes = Buffer.from(encoded, 'base64');
  const end = bytes.indexOf(NEW_LINE);
  if (bytes.toString('latin1', 0, Math.max(0, end)) !== name) return undefined;
  try {
    return zstdDecompressSync(bytes.subarray(end + 1), { maxOutputLength: bytesMax });
  } catch {
    return undefined;
  }
}
