/** Puts a whole file in the place of another: whoever opens it reads the old one or the new one, also after a crash. */
import { closeSync, constants, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW, O_RDONLY } = constants;
const FRESH = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW;
const OWNER_ONLY = 0o600;

export function replaceFileSync(file: string, text: string): void {
  const fresh = `${file}.new`;
  const descriptor = openSync(fresh, FRESH, OWNER_ONLY);
  try {
    const bytes = Buffer.from(text);
    if (writeSync(descriptor, bytes) !== bytes.length) throw new Error(`${fresh} could not be written whole`);
    fsyncSync(descriptor);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
  renameSync(fresh, file);
  syncFolderSync(dirname(file));
}

/** The same, without holding anything up. Two at a time for one file are not allowed. */
export async function replaceFile(file: string, text: string): Promise<void> {
  const fresh = `${file}.new`;
  const handle = await open(fresh, FRESH, OWNER_ONLY);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(fresh, file);
  const folder = await open(dirname(file), O_RDONLY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Makes the names in a folder as durable as what they stand for. */
export function syncFolderSync(folder: string): void {
  const descriptor = openSync(folder, O_RDONLY);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
