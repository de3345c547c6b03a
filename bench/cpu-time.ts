/**
 * CPU time as the kernel counts it (Linux). Everything that is compared is read with this one clock: `cpuTime` of isolated-vm 7.0.1,
 * and with it `cpuMs` of a result, is time on the wall, which on a busy machine was 24 times the CPU that was used.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/** Milliseconds of CPU of all threads of a process that live now: those of the compiler and the collector too. */
function cpuMsSoFar(pid: number): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      // A thread that has ended since the folder was read.
    }
  }
  return nanoseconds / 1e6;
}

/** Milliseconds of CPU that the process spends while `run` is under way. */
export async function cpuMsOf<T>(
  pid: number,
  run: () => Promise<T>,
): Promise<{ readonly value: T; readonly cpuMs: number }> {
  const before = cpuMsSoFar(pid);
  const value = await run();
  return { value, cpuMs: cpuMsSoFar(pid) - before };
}

const QUIET_MS = 400;
/** What timers of an idle process use. */
const QUIET_CPU_MS_MAX = 4;

/** Settles when the process has nothing to do: its spare isolates are made, and V8 has compiled what it wanted to. */
export async function untilQuiet(pid: number): Promise<void> {
  while ((await cpuMsOf(pid, () => pause(QUIET_MS))).cpuMs > QUIET_CPU_MS_MAX);
}
