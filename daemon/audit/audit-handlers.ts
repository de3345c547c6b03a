/** The methods with which administrators read the audit log. */
import type { Handlers } from '../transport/handlers.ts';
import type { Audit } from './audit-log.ts';
import type { AuditReader } from './audit-reader.ts';

type AuditMethod = Extract<keyof Handlers, `audit.${string}`>;

export function auditHandlers(reader: AuditReader, audit: Pick<Audit, 'note'>): Pick<Handlers, AuditMethod> {
  return {
    'audit.query': (filter, caller) => {
      audit.note('audit.queried', { by: caller.principal });
      return reader.query(filter);
    },
    'audit.tail': ({ afterSeq, waitMs }, caller) => reader.tail(afterSeq, waitMs ?? 0, caller.signal),
    'audit.verify': () => reader.verify(),
  };
}
