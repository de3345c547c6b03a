/**
 * Looks names up: at the name servers that it was given, or as the system does where it was given none.
 *
 * I1: nothing is remembered from one look-up to the next; whoever connects uses the answer that was checked.
 */
import type { MxRecord, SrvRecord } from 'node:dns';
import { lookup, Resolver } from 'node:dns/promises';
import { orAborted } from './deadline.ts';

export interface ResolverOptions {
  /** `address` or `address:port` of name servers, instead of the system's. */
  readonly servers?: readonly string[];
}

/** The records that are no addresses, each as it is answered. */
export interface NameRecords {
  MX: MxRecord;
  TXT: readonly string[];
  CNAME: string;
  SRV: SrvRecord;
}

/** The errors that say that a name, or a record of it, is not there. */
const ABSENT: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA', 'EAI_NONAME', 'EAI_NODATA']);

export class NameResolver {
  readonly #servers: readonly string[] | null;

  constructor(options: ResolverOptions = {}) {
    this.#servers = options.servers ?? null;
  }

  /** Every address of a name, IPv4 and IPv6; none where there is no such name. Rejects where no name server answers. */
  async addresses(name: string, signal: AbortSignal): Promise<readonly string[]> {
    if (this.#servers === null) {
      const answers = await orAborted(noneIfAbsent(lookup(name, { all: true, verbatim: true })), signal);
      return answers.map(({ address }) => address);
    }
    return this.#ask(signal, async (resolver) => {
      const answers = await Promise.all([noneIfAbsent(resolver.resolve4(name)), noneIfAbsent(resolver.resolve6(name))]);
      return answers.flat();
    });
  }

  /** The records of one type; none where there is no such name or record. Rejects where no name server answers. */
  async records<T extends keyof NameRecords>(
    name: string,
    type: T,
    signal: AbortSignal,
  ): Promise<readonly NameRecords[T][]> {
    // Node has one function for all types and says so for each of them alone.
    return this.#ask(signal, (resolver) => noneIfAbsent(resolver.resolve(name, type) as Promise<NameRecords[T][]>));
  }

  #ask<T>(signal: AbortSignal, question: (resolver: Resolver) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    // One for each question: cancelling ends everything that a resolver was asked.
    const resolver = new Resolver();
    if (this.#servers !== null) resolver.setServers(this.#servers);
    const cancel = (): void => resolver.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    return orAborted(question(resolver), signal).finally(() => signal.removeEventListener('abort', cancel));
  }
}

async function noneIfAbsent<T>(answers: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await answers;
  } catch (error) {
    if (error instanceof Error && ABSENT.has(String((error as NodeJS.ErrnoException).code))) return [];
    throw error;
  }
}
