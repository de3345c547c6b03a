/** What a host has told of one isolate, and the same life as steps for another. */
import type { CapabilityGrant, FromHost, LifeRecord, Question, ReplayStep, ToHost } from '../../sandbox/protocol.ts';
import { type Hosted, LIMITS } from './_hosted.ts';

/** Records what one isolate is told and what it lives through. */
export class RecordedLife {
  readonly host: Hosted;
  readonly isolate: string;
  readonly #sources = new Map<number, string>();
  readonly #answers = new Map<number, { readonly ok: boolean; readonly json: string }>();
  readonly #grants = new Map<number, CapabilityGrant>();
  readonly #questions = new Map<number, Question>();

  constructor(host: Hosted, isolate: string) {
    this.host = host;
    this.isolate = isolate;
    const tell = host.tell.bind(host);
    host.tell = (message: ToHost) => {
      if ('isolate' in message && message.isolate === isolate) this.#note(message);
      tell(message);
    };
  }

  #note(message: ToHost): void {
    if (message.kind === 'cell.run') this.#sources.set(message.cell, message.source);
    else if (message.kind === 'call.settle') this.#answers.set(message.call, message);
    else if (message.kind === 'capabilities.set') this.#grants.set(message.number, message);
    else if (message.kind === 'ask') this.#questions.set(message.id, message.question);
  }

  get records(): readonly LifeRecord[] {
    return this.said('isolate.lived').flatMap(({ records }) => records);
  }

  get openedMs(): number {
    const [first] = this.records;
    return first !== undefined && 'nowMs' in first ? first.nowMs : Number.NaN;
  }

  said<K extends FromHost['kind']>(kind: K): Extract<FromHost, { kind: K }>[] {
    return this.host.said.filter(
      (said) => said.kind === kind && 'isolate' in said && said.isolate === this.isolate,
    ) as Extract<FromHost, { kind: K }>[];
  }

  get steps(): ReplayStep[] {
    const reads = this.records.flatMap((record) => (record.op === 'reads' ? [record.reads] : [])).join('');
    const steps = this.records.flatMap((record): ReplayStep[] => {
      if (record.op === 'reads' || record.op === 'torn' || record.op === 'open') return [];
      const { op, ref } = record;
      if (op === 'run') return [{ ...record, op, source: this.#sources.get(ref) ?? '', limits: LIMITS }];
      if (op === 'settle') return [{ ...record, op, ...(this.#answers.get(ref) ?? { ok: false, json: '' }) }];
      if (op === 'grant') return [{ ...record, op, grant: this.#grants.get(ref) as CapabilityGrant }];
      if (op === 'ask') return [{ ...record, op, question: this.#questions.get(ref) as Question }];
      return [{ ...record, op }];
    });
    return reads === '' ? steps : [{ op: 'reads', reads }, ...steps];
  }

  /** What guest code has said, cell by cell and without what differs from run to run. */
  get words(): unknown[] {
    return this.host.said.flatMap((said): unknown[] => {
      if (!('isolate' in said) || said.isolate !== this.isolate) return [];
      if (said.kind === 'cell.done') return [{ cell: said.cell, outcome: said.outcome }];
      if (said.kind === 'call') return [{ call: said.call, name: said.name, argsJson: said.argsJson }];
      if (said.kind === 'display') return [{ display: said.dataJson }];
      return said.kind === 'output' ? [{ [said.stream]: said.text }] : [];
    });
  }
}
