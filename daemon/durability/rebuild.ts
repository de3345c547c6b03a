/** Reads a journal as what the session's isolate is rebuilt from. Pure. */
import type {
  CapabilityGrant,
  CellLimits,
  IsolateEntry,
  IsolateSpec,
  LifeRecord,
  ReplayStep,
} from '../../sandbox/protocol.ts';
import type { JournalRecord, KeptOverLives, MarkRecord, RecordedCall, Said, UsedBudget } from './journal-records.ts';

/** How far a recorded call came. */
export interface RebuiltCall {
  readonly record: RecordedCall;
  /** How often its effect had begun that cannot simply be done again. */
  begun: number;
  /** What a person was asked because of it, and since when. */
  readonly asked: Map<string, number>;
  /** What a person answered, by what was asked. */
  readonly settlements: Map<string, unknown>;
  outcome: { readonly ok: boolean; readonly json: string } | undefined;
  /** Guest code was given the outcome. */
  delivered: boolean;
  /** It is in the count of its execution. */
  counted: boolean;
  /** It is in the counts of its grant, and was within them. */
  letThrough: boolean;
  /** A person has said in this daemon what to do about what had begun. */
  doubtSettled: boolean;
  /** Its cell was stopped, and nothing more is to be done for it. */
  stopped: boolean;
}

export type CellRecord = Extract<JournalRecord, { readonly r: 'cell' }>;

export interface Rebuilt {
  /** The number of the isolate among those of the session. */
  readonly life: number;
  readonly cuts: number;
  readonly spec: IsolateSpec;
  /** Undefined where the isolate was not even opened. */
  readonly openedMs: number | undefined;
  readonly entries: readonly IsolateEntry[];
  readonly reads: string;
  readonly calls: ReadonlyMap<number, RebuiltCall>;
  /** What the isolate was told last of its capabilities. */
  readonly granted: Pick<CapabilityGrant, 'capabilities' | 'patient'>;
  /** Cells that were accepted and have not ended, in their order. */
  readonly unended: readonly CellRecord[];
  /** What was written up to here. */
  readonly said: Said;
  readonly kept: KeptOverLives;
  /** Cells whose start is in the audit log. */
  readonly audited: ReadonlySet<number>;
  /** Cells that are to be ended. */
  readonly stops: ReadonlySet<number>;
  /** Timers and calls that ended cells have left behind. */
  readonly pending: number;
  /** Why no replay comes to the same state any more. */
  readonly torn: string | undefined;
  /** Oldest first. */
  readonly marks: readonly MarkRecord[];
  /** The highest number of a cell, a grant and a question. */
  readonly last: { readonly cell: number; readonly grant: number; readonly question: number };
  steps(limits: Omit<CellLimits, 'wallMs'>): ReplayStep[];
}

export const NOTHING_SAID: Said = { stdout: 0, stderr: 0, displays: 0, logs: 0, cuts: 0 };

/** Undefined where there was no isolate yet. */
export function rebuild(records: readonly JournalRecord[]): Rebuilt | undefined {
  const life = records.findLastIndex(({ r }) => r === 'life');
  const first = records[life];
  if (first?.r !== 'life') return undefined;
  const reader = new Reader(first);
  for (const record of records.slice(life + 1)) reader.take(record);
  return reader.rebuilt(first);
}

/** How far a life had come: everything after it can be taken back. */
interface Place {
  readonly entries: number;
  readonly calls: number;
  readonly said: Said;
  readonly torn: string | undefined;
  readonly pending: number;
  /** The cell that had begun last; 0 before the first. */
  readonly cell: number;
}

class Reader {
  readonly #cells = new Map<number, CellRecord>();
  readonly #unended = new Map<number, CellRecord>();
  readonly #calls = new Map<number, RebuiltCall>();
  readonly #grants = new Map<number, Extract<JournalRecord, { r: 'grant' }>>();
  readonly #questions = new Map<number, Extract<JournalRecord, { r: 'ask' }>>();
  readonly #once: Set<string>;
  readonly #secrets: (readonly [name: string, value: string])[];
  readonly #used: Map<string, UsedBudget>;
  readonly #audited = new Set<number>();
  readonly #stops = new Set<number>();
  #pending = 0;
  #lastRun = 0;
  /** With where each was made. */
  #entries: { readonly entry: IsolateEntry; readonly place: Place }[] = [];
  readonly #marks = new Map<string, { readonly mark: MarkRecord; readonly place: Place }>();
  #reads: { readonly text: string; readonly entry: number }[] = [];
  #callsMade: number[] = [];
  #said = NOTHING_SAID;
  #openedMs: number | undefined;
  #torn: string | undefined;
  #cuts = 0;

  constructor({ once, secrets, used }: KeptOverLives) {
    this.#once = new Set(once);
    this.#secrets = [...secrets];
    this.#used = new Map(used.map((budget) => [budget[0], budget]));
  }

  take(record: JournalRecord): void {
    switch (record.r) {
      case 'cell':
        this.#cells.set(record.cell, record);
        this.#unended.set(record.cell, record);
        return;
      case 'lived':
        for (const lived of record.records) this.#live(lived);
        return;
      case 'said':
        this.#said = record.said;
        return;
      case 'call':
        this.#calls.set(record.call, newCall(record));
        this.#callsMade.push(record.call);
        return;
      case 'outcome':
        this.#change(record.call, (call) => (call.outcome = { ok: record.ok, json: record.json }));
        return;
      case 'begun':
        this.#change(record.call, (call) => {
          call.begun += 1;
        });
        return;
      case 'asked':
        this.#change(record.call, ({ asked }) => asked.set(record.about, record.atMs));
        return;
      case 'decided':
        this.#change(record.call, ({ settlements }) => settlements.set(record.about, record.settlement));
        return;
      case 'grant':
        this.#grants.set(record.number, record);
        return;
      case 'ask':
        this.#questions.set(record.id, record);
        return;
      case 'once':
        this.#once.add(record.capability);
        return;
      case 'used':
        this.#count(record.used);
        if (record.call !== null)
          this.#change(record.call, (call) => {
            call.letThrough = true;
          });
        return;
      case 'secret':
        this.#secrets.push([record.name, record.value]);
        return;
      case 'stop':
        this.#stops.add(record.cell);
        return;
      case 'audited':
        this.#audited.add(record.cell);
        return;
      case 'ended':
        this.#unended.delete(record.cell);
        this.#pending = record.pending ?? this.#pending;
        return;
      case 'cut':
        this.#cut(record.cell);
        return;
      case 'mark':
        this.#marks.set(record.name, { mark: record, place: this.#here });
        return;
      case 'return':
        this.#return(record.name);
        return;
      case 'gone':
        this.#gone();
        return;
      case 'life':
        return;
    }
  }

  #live(lived: LifeRecord): void {
    if (lived.op === 'reads') this.#reads.push({ text: lived.reads, entry: lived.entry });
    else if (lived.op === 'torn') this.#torn ??= lived.why;
    else this.#enter(lived);
  }

  #change(call: number, change: (call: RebuiltCall) => void): void {
    const known = this.#calls.get(call);
    if (known !== undefined) change(known);
  }

  #count([capability, calls, bytes]: UsedBudget): void {
    const [, callsBefore, bytesBefore] = this.#used.get(capability) ?? [capability, 0, 0];
    this.#used.set(capability, [capability, callsBefore + calls, bytesBefore + bytes]);
  }

  #enter(entry: IsolateEntry): void {
    if (entry.op === 'open') {
      this.#openedMs = entry.nowMs;
      return;
    }
    this.#entries.push({ entry, place: this.#here });
    if (entry.op === 'run') this.#lastRun = entry.ref;
    if (entry.op === 'settle') this.#change(entry.ref, (call) => (call.delivered = true));
    if (entry.op === 'abandon') this.#stopCallsOf(this.#cells.get(entry.ref)?.executionId);
  }

  #stopCallsOf(executionId: string | undefined): void {
    for (const call of this.#calls.values()) if (call.record.executionId === executionId) call.stopped = true;
  }

  /** The isolate is no more; what was accepted still is. */
  #gone(): void {
    this.#entries = [];
    this.#reads = [];
    this.#calls.clear();
    this.#callsMade = [];
    this.#said = NOTHING_SAID;
    this.#openedMs = undefined;
    this.#torn = undefined;
    this.#pending = 0;
    this.#lastRun = 0;
    this.#marks.clear();
  }

  get #here(): Place {
    return {
      entries: this.#entries.length,
      calls: this.#callsMade.length,
      said: this.#said,
      torn: this.#torn,
      pending: this.#pending,
      cell: this.#lastRun,
    };
  }

  #return(name: string): void {
    const found = this.#marks.get(name);
    if (found === undefined) return;
    this.#cuts += 1;
    this.#backTo(found.place);
  }

  /** Back to where the cell had not begun. */
  #cut(cell: number): void {
    this.#cuts += 1;
    this.#unended.delete(cell);
    const at = this.#entries.findLast(({ entry }) => entry.op === 'run' && entry.ref === cell);
    if (at !== undefined) this.#backTo(at.place);
  }

  #backTo({ entries, calls, said, torn, pending, cell }: Place): void {
    this.#entries = this.#entries.slice(0, entries);
    // The opening is the first entry, and is not in the list.
    this.#reads = this.#reads.filter(({ entry }) => entry <= entries + 1);
    this.#torn = torn ?? this.#doneTwice(this.#callsMade.slice(calls), cell);
    this.#pending = pending;
    this.#lastRun = cell;
    for (const call of this.#callsMade.slice(calls)) this.#calls.delete(call);
    this.#callsMade = this.#callsMade.slice(0, calls);
    this.#said = said;
    for (const [name, { place }] of this.#marks) if (place.entries > entries) this.#marks.delete(name);
    const settled = new Set(this.#entries.flatMap(({ entry }) => (entry.op === 'settle' ? [entry.ref] : [])));
    for (const [number, call] of this.#calls) call.delivered = settled.has(number);
  }

  /** What goes on from there makes its calls once more, and may not where their effects cannot be repeated. */
  #doneTwice(takenBack: readonly number[], lastCell: number): string | undefined {
    for (const call of takenBack) {
      const { record, begun } = this.#calls.get(call) ?? {};
      if (begun && record && record.origin > 0 && record.origin <= lastCell)
        return `what cell ${record.origin} had left behind has called ${record.name} since, which is not to be done twice`;
    }
    return undefined;
  }

  rebuilt({ number: life, spec }: Extract<JournalRecord, { r: 'life' }>): Rebuilt {
    const entries = this.#entries.map(({ entry }) => entry);
    const reads = this.#reads.map(({ text }) => text).join('');
    return {
      life,
      cuts: this.#cuts,
      spec,
      openedMs: this.#openedMs,
      entries,
      reads,
      calls: this.#calls,
      granted: this.#granted ?? spec,
      unended: [...this.#unended.values()],
      said: this.#said,
      kept: { used: [...this.#used.values()], once: [...this.#once], secrets: this.#secrets },
      audited: this.#audited,
      stops: this.#stops,
      pending: this.#pending,
      torn: this.#torn,
      marks: Array.from(this.#marks.values(), ({ mark }) => mark),
      last: {
        cell: lastOf(this.#cells),
        grant: lastOf(this.#grants),
        question: lastOf(this.#questions),
      },
      steps: (limits) => [
        ...(reads === '' ? [] : [{ op: 'reads' as const, reads }]),
        ...entries.flatMap((entry) => this.#stepOf(entry, limits) ?? []),
      ],
    };
  }

  get #granted(): CapabilityGrant | undefined {
    const last = this.#entries.findLast(({ entry }) => entry.op === 'grant');
    return last && this.#grants.get(last.entry.ref)?.grant;
  }

  /** Undefined for what there is no record of: it had led to nothing that anyone saw. */
  #stepOf(entry: IsolateEntry, limits: Omit<CellLimits, 'wallMs'>): ReplayStep | undefined {
    const { op, ref } = entry;
    switch (op) {
      case 'run': {
        const cell = this.#cells.get(ref);
        return cell && { ...entry, op, source: cell.source, limits: { ...limits, wallMs: cell.wallMs } };
      }
      case 'settle': {
        const outcome = this.#calls.get(ref)?.outcome;
        return outcome && { ...entry, op, ...outcome };
      }
      case 'grant': {
        const grant = this.#grants.get(ref)?.grant;
        return grant && { ...entry, op, grant };
      }
      case 'ask': {
        const question = this.#questions.get(ref)?.question;
        return question && { ...entry, op, question };
      }
      case 'timer':
      case 'abandon':
        return { ...entry, op };
      case 'open':
        return undefined;
    }
  }
}

export function newCall(record: RecordedCall): RebuiltCall {
  return {
    record,
    begun: 0,
    asked: new Map(),
    settlements: new Map(),
    outcome: undefined,
    delivered: false,
    counted: false,
    letThrough: false,
    doubtSettled: false,
    stopped: false,
  };
}

/** Numbers are given in ascending order. */
const lastOf = (numbered: ReadonlyMap<number, unknown>): number => [...numbered.keys()].at(-1) ?? 0;
