/** Verifies the files of a log against the public keys and the signed heads that are known of it. It changes nothing. */

import type { KeyObject } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Anchor, ChainChecker, type Verification } from './chain-checker.ts';
import { listLogFiles } from './log-folder.ts';
import { readLines } from './log-lines.ts';
import { HEAD_FILE, parseHead, readHeadFile } from './signed-head.ts';
import { keyIdOf, parsePublicKey } from './signing-key.ts';

export interface VerifyOptions {
  /** In the order in which they were written. */
  readonly files: readonly string[];
  readonly publicKeys: readonly KeyObject[];
  /** The texts of head.json and of copies of it that were kept elsewhere. */
  readonly heads: readonly { readonly source: string; readonly text: string }[];
  /** The number of the first record; 1 unless older files were archived. */
  readonly first?: number;
  /** How much of the last file there is to read, while it is written to. */
  readonly lastFileBytes?: number;
}

/** Rejects with the error of the file system where a file cannot be read. */
export async function verifyFiles(options: VerifyOptions): Promise<Verification> {
  const { files, publicKeys, heads, first = 1, lastFileBytes } = options;
  const keys = new Map(publicKeys.map((key) => [keyIdOf(key), key]));
  const anchors: Anchor[] = [];
  const unusable: { readonly source: string; readonly what: string }[] = [];
  for (const { source, text } of heads) {
    const parsed = parseHead(text, keys);
    if (!parsed.ok) unusable.push({ source, what: parsed.what });
    else if (parsed.head.seq >= first) anchors.push({ source, seq: parsed.head.seq, hash: parsed.head.hash });
  }
  const checker = new ChainChecker({ first, keys, anchors, reencode: true });
  for (const [index, file] of files.entries()) {
    checker.beginFile(basename(file));
    await using handle = await open(file);
    const isLast = index === files.length - 1;
    for await (const line of readLines(handle, isLast && lastFileBytes !== undefined ? { to: lastFileBytes } : {}))
      checker.check(line);
  }
  for (const { source, what } of unusable) checker.complain(source, null, `${source} is of no use: ${what}`);
  return checker.end();
}

/** What a folder of the daemon's, or a copy of one, holds of itself: with the keys of earlier times, which signed what is older. */
export function readFolder(folder: string): Pick<VerifyOptions, 'files' | 'publicKeys' | 'heads'> {
  const keyFiles = readdirSync(folder).filter((name) => /^public-key[\w-]{0,64}\.pem$/.test(name));
  const publicKeys = keyFiles.map((name) => readPublicKeyFile(join(folder, name))).filter((key) => key !== null);
  // Before the files are listed: what it says is in them by then.
  const text = readHeadFile(join(folder, HEAD_FILE));
  return {
    publicKeys,
    // Without it nobody can say whether the end is missing, which is a problem of its own.
    heads: [{ source: HEAD_FILE, text: text ?? '' }],
    files: listLogFiles(folder).map(({ path }) => path),
  };
}

export function readPublicKeyFile(file: string): KeyObject | null {
  try {
    return parsePublicKey(readFileSync(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
