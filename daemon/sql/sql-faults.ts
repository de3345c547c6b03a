/** How what goes wrong with a data source is worded: never with a host, a path, or who connects as whom. */
import { Fault } from '../fault.ts';
import type { PassedCap } from './result-rows.ts';
import type { SqlCaps } from './sql-call.ts';
import { SQL_LIMITS } from './sql-limits.ts';

/** The same words for a source that does not exist and for one that the level does not grant. */
export function sourceRefusal(source: string): string {
  return `The data source ${JSON.stringify(source)} is not one that this session may use.`;
}

export function sourceDenied(source: string): Fault {
  return new Fault('CAPABILITY_DENIED', sourceRefusal(source), { source });
}

export function unreachable(source: string, cause?: unknown): Fault {
  return new Fault(
    'EFFECT_FAILED',
    `The data source "${source}" cannot be reached at present; try again later, or ask the administrator.`,
    { reason: 'unreachable', source },
    { cause },
  );
}

export function capFault(cap: PassedCap, caps: SqlCaps): Fault {
  return cap === 'rows'
    ? new Fault('TOO_LARGE', `The result has more than ${caps.rowsMax} rows (rowsMax); select fewer, with LIMIT.`, {
        rowsMax: caps.rowsMax,
      })
    : new Fault('TOO_LARGE', `The result has more than ${caps.bytesMax} bytes (bytesMax); select less at a time.`, {
        bytesMax: caps.bytesMax,
      });
}

export function timedOut(caps: SqlCaps): Fault {
  return new Fault(
    'TIMED_OUT',
    `The statement was stopped after ${caps.timeMsMax} ms (timeMsMax); nothing was changed.`,
    {
      timeMsMax: caps.timeMsMax,
    },
  );
}

export function interruptedCall(): Fault {
  return new Fault('INTERRUPTED', 'The statement was stopped; nothing was changed.');
}

/** The one case where nobody knows what became of a call. */
export function inDoubt(source: string): Fault {
  return new Fault(
    'EFFECT_FAILED',
    `The data source "${source}" was lost during the commit: look whether the changes are there before repeating them.`,
    { reason: 'in-doubt', source },
  );
}

/** @param said the database's own words about the guest's SQL */
export function sqlFault(said: string, facts: Readonly<Record<string, unknown>> = {}): Fault {
  return new Fault('EFFECT_FAILED', said.slice(0, SQL_LIMITS.errorCharsMax), { reason: 'sql', ...facts });
}

export function refusedStatement(why: string): Fault {
  return new Fault('EFFECT_FAILED', why.slice(0, SQL_LIMITS.errorCharsMax), { reason: 'refused' });
}
