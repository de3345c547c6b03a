/** The methods with which administrators look after the daemon itself. */
import type { Audit } from './audit/audit-log.ts';
import type { Drain } from './drain.ts';
import type { DurableStore } from './durability/durable-store.ts';
import type { Handlers } from './transport/handlers.ts';

export type UpkeepMethod = 'daemon.backup' | 'daemon.drain';

export interface UpkeepParts {
  readonly store: Pick<DurableStore, 'backUpTo'>;
  readonly audit: Pick<Audit, 'append'>;
  readonly drain: Pick<Drain, 'begin'>;
  /** How long what runs may go on where nobody says. */
  readonly drainMs: number;
  readonly busy: () => number;
}

export function upkeepHandlers({ store, audit, drain, drainMs, busy }: UpkeepParts): Pick<Handlers, UpkeepMethod> {
  return {
    'daemon.backup': async ({ file }, caller) => {
      audit.append('daemon.backup', { file, by: caller.principal });
      return { file, bytes: await store.backUpTo(file) };
    },
    'daemon.drain': ({ graceMs = drainMs }, caller) => {
      drain.begin(caller.principal, graceMs);
      return { graceMs, busy: busy() };
    },
  };
}
