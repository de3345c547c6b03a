import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PolicyFile } from '../protocol.ts';
import { usageError } from './cli-error.ts';

/** More than any policy has. */
const FILES_MAX = 64;

/** Policy files with the folder that they are in. */
export interface PolicyFolder {
  readonly path: string;
  readonly files: PolicyFile[];
}

/** The policy files of a folder: what ends in .yaml, but for what an editor hides. Fails as wrong usage where it cannot be read. */
export async function readPolicyFolder(path: string): Promise<PolicyFolder> {
  let names: string[];
  try {
    names = await readdir(path);
  } catch (error) {
    throw usageError(`cannot read the folder ${path}: ${(error as Error).message}`);
  }
  const chosen = names.filter((name) => name.endsWith('.yaml') && !name.startsWith('.')).sort();
  if (chosen.length === 0) throw usageError(`there is no policy in ${path}: it holds no .yaml file`);
  if (chosen.length > FILES_MAX)
    throw usageError(`${path} holds ${chosen.length} .yaml files; a policy has at most ${FILES_MAX}`);
  const files = await Promise.all(chosen.map(async (name) => ({ name, text: await readTextFile(join(path, name)) })));
  return { path, files };
}

/** Fails as wrong usage where the file cannot be read. */
export async function readTextFile(path: string): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path));
  } catch (error) {
    const why = error instanceof TypeError ? 'it is not UTF-8 text' : (error as Error).message;
    throw usageError(`cannot read ${path}: ${why}`);
  }
}
