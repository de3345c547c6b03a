/** The files of the log by name, in the order in which they were written. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const LOG_FILE = /^audit-(\d{6,9})\.jsonl$/;
const DIGITS = 6;

export interface LogFileEntry {
  readonly name: string;
  readonly path: string;
  readonly number: number;
}

export function listLogFiles(folder: string): LogFileEntry[] {
  return readdirSync(folder)
    .flatMap((name) => {
      const digits = LOG_FILE.exec(name)?.[1];
      return digits === undefined ? [] : [{ name, path: join(folder, name), number: Number(digits) }];
    })
    .sort((a, b) => a.number - b.number);
}

export function logFileAt(folder: string, number: number): LogFileEntry {
  const name = `audit-${String(number).padStart(DIGITS, '0')}.jsonl`;
  return { name, path: join(folder, name), number };
}
