/** Cells of attackers, each in a session of its own, and what must come of them. */
import type { TestFn } from 'ava';
import type { ExecutionResult, Params } from '../../client/protocol.ts';
import { Guest, type SharedDaemon } from '../harness/shared-daemon.ts';

export interface Attack {
  /** Its id in the attack catalogue, and what is promised. */
  readonly title: string;
  /** Cells, run one after another in one session. */
  readonly cells: readonly string[];
  /** What the last one comes to: see `endOf`. */
  readonly end: string | RegExp;
  readonly session?: Params<'session.create'>;
}

export const QUICK = { cellCpuMsMax: 500, cellWallMsMax: 1500 };
/** A cell that does not end by itself has been stopped. */
export const STOPPED = /^(CPU_EXCEEDED|TIMED_OUT)/;

/** A result in a line: the value's JSON, `type text` of a preview, or `CODE name: message` of an error. */
export function endOf({ value, error }: ExecutionResult): string {
  if (error !== undefined) return `${error.code} ${error.name}: ${error.message}`;
  return value?.kind === 'json' ? JSON.stringify(value.json) : `${value?.type} ${value?.text}`;
}

/** No result may name a place outside the guest's own cells. */
const HOST_TRACE = /node:|node_modules|\.ts:|\.js:|isolated-vm boundary|file:\/\/|pyrepl3:/;

/** Defines a test for each attack: it ends as it must, shows nothing of the host, and its session goes on. */
export function testAttacks(test: TestFn, shared: () => SharedDaemon, attacks: readonly Attack[]): void {
  for (const { title, cells, end, session } of attacks) {
    test.serial(title, async (t) => {
      const guest = await Guest.open(shared().client, { limits: QUICK, ...session });
      const results: ExecutionResult[] = [];
      for (const cell of cells) results.push(await guest.run(cell));
      const last = results.at(-1);
      const line = last === undefined ? '' : endOf(last);
      if (typeof end === 'string') t.is(line, end);
      else t.regex(line.slice(0, 2000), end);
      for (const { error } of results) t.notRegex(`${error?.message} ${error?.stack}`, HOST_TRACE);
      t.is(endOf(await answered(guest)), '2', 'the session goes on');
      await guest.close();
    });
  }
}

/** Memory that a cell leaves behind may meet the limit in the next one. */
const LOST: ReadonlySet<string> = new Set(['SESSION_LOST', 'MEMORY_EXCEEDED']);

/** The next cell of a session, which may first be told that it met the limit, and then that it could not be made again. */
export async function answered(guest: Guest): Promise<ExecutionResult> {
  let answer = await guest.run('1+1');
  for (let losses = 0; losses < 2 && LOST.has(answer.error?.code ?? ''); losses++) answer = await guest.run('1+1');
  return answer;
}
