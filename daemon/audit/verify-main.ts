/**
 * The program that verifies an audit log, or a copy of one, wherever it is: it asks no daemon and changes nothing.
 * `node verify-main.ts [FILES… | DIR] [--key FILE]… [--head FILE]… [--first SEQ] [--json]`. The exit status is 0 when the log is
 * whole, 1 when it is not, 2 when it could not be looked at.
 */
import { readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Verification } from './chain-checker.ts';
import { PUBLIC_KEY_FILE } from './signing-key.ts';
import { readFolder, readPublicKeyFile, type VerifyOptions, verifyFiles } from './verify.ts';

class UsageError extends Error {}

interface Asked {
  readonly paths: readonly string[];
  readonly keys: readonly string[];
  readonly heads: readonly string[];
  readonly first: number;
  readonly json: boolean;
}

const USAGE = 'usage: audit verify [FILES… | DIR] [--key FILE]… [--head FILE]… [--first SEQ] [--json]';
/** A line that a running daemon is writing at this moment is whole at the next look. */
const SECOND_LOOK_MS = 200;

function parseCommandLine(args: readonly string[]): Asked {
  const options = {
    key: { type: 'string', multiple: true },
    head: { type: 'string', multiple: true },
    first: { type: 'string' },
    json: { type: 'boolean' },
  } as const;
  let parsed: ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>;
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  const { key = [], head = [], first = '1', json = false } = parsed.values;
  if (!/^[1-9]\d{0,14}$/.test(first)) throw new UsageError('--first must be the number of a record, from 1');
  const paths = parsed.positionals.length === 0 ? ['.'] : parsed.positionals;
  return { paths, keys: key, heads: head, first: Number(first), json };
}

function optionsFrom({ paths, keys, heads, first }: Asked): VerifyOptions {
  const [path = '.'] = paths;
  const isFolder = paths.length === 1 && statSync(path).isDirectory();
  const found = isFolder ? readFolder(path) : { files: paths, publicKeys: beside(path, keys), heads: [] };
  const publicKeys = keys.length === 0 ? found.publicKeys : keys.map(requirePublicKey);
  if (publicKeys.length === 0) throw new UsageError('there is no public key beside the log: name one with --key');
  if (found.files.length === 0) throw new UsageError(`there is no log in ${path}`);
  const given = heads.map((file) => ({ source: file, text: readFileSync(file, 'utf8') }));
  return { files: found.files, publicKeys, heads: [...found.heads, ...given], first };
}

function beside(file: string, keys: readonly string[]): VerifyOptions['publicKeys'] {
  const key = keys.length > 0 ? null : readPublicKeyFile(join(dirname(file), PUBLIC_KEY_FILE));
  return key === null ? [] : [key];
}

function requirePublicKey(file: string): VerifyOptions['publicKeys'][number] {
  const key = readPublicKeyFile(file);
  if (key === null) throw new UsageError(`${file} is no Ed25519 public key in PEM`);
  return key;
}

function describe(result: Verification, knowsEnd: boolean): string {
  const { records, firstSeq, lastSeq, signedSeq, problems, moreProblems } = result;
  const lines = problems.map(({ file, line, seq, what }) => {
    const place = line === 0 ? file : `${file}:${line}`;
    return `${place}: ${seq === null ? '' : `record ${seq}: `}${what}`;
  });
  if (moreProblems > 0) lines.push(`and ${moreProblems} more`);
  const extent = records === 0 ? 'no records' : `${records} records, ${firstSeq} to ${lastSeq}`;
  lines.push(`${result.ok ? 'the log is whole' : 'the log is BROKEN'}: ${extent}, signed up to ${signedSeq}`);
  if (!knowsEnd) lines.push('no head.json was given: whether records are missing after the last one cannot be told');
  return lines.join('\n');
}

async function main(): Promise<number> {
  const asked = parseCommandLine(process.argv.slice(2));
  let options = optionsFrom(asked);
  let result = await verifyFiles(options);
  if (!result.ok) {
    await delay(SECOND_LOOK_MS);
    options = optionsFrom(asked);
    result = await verifyFiles(options);
  }
  process.stdout.write(`${asked.json ? JSON.stringify(result) : describe(result, options.heads.length > 0)}\n`);
  return result.ok ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  const isOfSystem = error instanceof Error && 'code' in error;
  if (!isOfSystem && !(error instanceof UsageError)) throw error;
  const hint = error instanceof UsageError ? `\n${USAGE}` : '';
  process.stderr.write(`pyrepl3: ${(error as Error).message}${hint}\n`);
  process.exitCode = 2;
}
