/** A request to a Resonate server that may be asked again: it has the same outcome however often it arrives. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../fault.ts';
import { ask, type Network, type PromiseRecord, type Request, type RequestOf } from './sdk.ts';

/** Before the second attempt, and before the third. */
const PAUSES_MS = [100, 400];
/** Statuses that say nothing about the request: too many, and something of the server's own. */
const TRY_AGAIN = new Set([429, 500]);

export interface Answer {
  readonly status: number;
  /** An object where the status is 200. */
  readonly data: unknown;
}

/** Fails with UNAVAILABLE where the server cannot be reached, or takes no requests. */
export async function callServer<K extends Request['kind']>(
  network: Pick<Network, 'send'>,
  kind: K,
  data: RequestOf<K>['data'],
): Promise<Answer> {
  for (let attempt = 0; ; attempt++) {
    let reason: string;
    let cause: unknown;
    try {
      const { head, data: answered } = await ask(network, kind, data);
      if (!TRY_AGAIN.has(head.status)) return { status: head.status, data: answered };
      reason = `status ${head.status}`;
    } catch (error) {
      if (error instanceof Fault) throw error;
      cause = error;
      reason = error instanceof Error ? error.message : String(error);
    }
    const pauseMs = PAUSES_MS[attempt];
    if (pauseMs === undefined)
      throw new Fault('UNAVAILABLE', `The Resonate server does not answer (${reason}).`, undefined, { cause });
    await sleep(pauseMs);
  }
}

/** The promise of an answer; null where there is none. Fails with UNAVAILABLE where the answer is none. */
export function promiseOf({ status, data }: Answer): PromiseRecord | null {
  if (status === 404) return null;
  const promise = status === 200 ? (data as { readonly promise?: unknown } | null)?.promise : undefined;
  if (typeof promise !== 'object' || promise === null)
    throw new Fault(
      'UNAVAILABLE',
      `The Resonate server refused a request (status ${status}: ${String(data).slice(0, 200)}).`,
    );
  return promise as PromiseRecord;
}
