/** Memory as the kernel counts it (Linux). */
import { readFileSync } from 'node:fs';

const MIB = 1024 * 1024;
const PAGE_BYTES = 4096;

/** Resident memory of a process. What it shares with others counts. */
export function residentMiB(pid: number): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
  return (pages * PAGE_BYTES) / MIB;
}
