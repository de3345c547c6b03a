/** Reads a journal as what the session's isolate is made again from. Pure. */
import type { CapabilityGrant, CellLimits, IsolateEntry, LifeRecord, ReplayStep } from '../../sandbox/protocol.ts';
import type { JournalRecord, KeptOverLives, MarkRecord, Said, UsedBudget } from './journal-records.ts';
import { type CellRecord, NOTHING_SAID, newCall, type Rebuilt, type RebuiltCall } from './rebuilt.ts';

/**
 * Undefined where there was no isolate yet.
 *
 * @param hasImage whether the image of that number can be had; without it, the isolate goes on from an earlier one or the beginning
 */
export function rebuild(records: readonly JournalRecord[], hasImage: (number: number) => boolean): Rebuilt | undefined {
  const life = records.findLastIndex(({ r }) => r === 'life');
  const first = records[life];
  if (first?.r !== 'life') return undefined;
  const reader = new Reader(first, hasImage);
  for (const record of records.slice(life + 1)) reader.take(record);
  return reader.rebuilt(first);
}

/** How far a life had come: everything after it can be taken back. */
interface Place {
  /** Records that had been read, of the journal and of lives. */
  readonly at: number;
  readonly entries: number;
  readonly calls: number;
  readonly said: Said;
  readonly cpuMs: number;
  readonly pending: number;
  /** The cell that had begun last; 0 before the first. */
  readonly cell: number;
}

/** Records of what becomes of a call. */
type OfCall = Extract<JournalRecord, { r: 'call' | 'outcome' | 'begun' | 'asked' | 'decided' | 'used' }>;

/** Sources of cells that go with an image: so many, and so many characters. */
const CELLS_KEPT = 50;
const CELL_CHARACTERS_KEPT = 262_144;

class Reader {
  readonly #hasImage: (number: number) => boolean;
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
  #at = 0;
  #torns: { readonly at: number; readonly why: string }[] = [];
  /** Those that can be had, oldest first. */
  #images: { readonly number: number; readonly place: Place }[] = [];
  #lastImage = 0;
  #cpuMs = 0;
  #cuts = 0;

  constructor({ once, secrets, used }: KeptOverLives, hasImage: (number: number) => boolean) {
    this.#hasImage = hasImage;
    this.#once = new Set(once);
    this.#secrets = [...secrets];
    this.#used = new Map(used.map((budget) => [budget[0], budget]));
  }

  take(record: JournalRecord): void {
    this.#at += 1;
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
      case 'grant':
        this.#grants.set(record.number, record);
        return;
      case 'ask':
        this.#questions.set(record.id, record);
        return;
      case 'once':
        this.#once.add(record.capability);
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
        this.#cpuMs += record.cpuMs ?? 0;
        return;
      case 'image':
        this.#lastImage = record.number;
        if (this.#hasImage(record.number)) this.#images.push({ number: record.number, place: this.#here });
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
      default:
        this.#takeOfCall(record);
    }
  }

  #takeOfCall(record: OfCall): void {
    switch (record.r) {
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
      case 'used':
        this.#count(record.used);
        if (record.call !== null)
          this.#change(record.call, (call) => {
            call.letThrough = true;
          });
        return;
    }
  }

  #live(lived: LifeRecord): void {
    this.#at += 1;
    if (lived.op === 'reads') this.#reads.push({ text: lived.reads, entry: lived.entry });
    else if (lived.op === 'torn') this.#tear(lived.why);
    else this.#enter(lived);
  }

  #tear(why: string): void {
    this.#torns.push({ at: this.#at, why });
  }

  /** What happened before an image is in it, however it came about. */
  get #torn(): string | undefined {
    const since = this.#images.at(-1)?.place.at ?? 0;
    return this.#torns.find(({ at }) => at > since)?.why;
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
    this.#torns = [];
    this.#images = [];
    this.#cpuMs = 0;
    this.#pending = 0;
    this.#lastRun = 0;
    this.#marks.clear();
  }

  get #here(): Place {
    return {
      at: this.#at,
      entries: this.#entries.length,
      calls: this.#callsMade.length,
      said: this.#said,
      cpuMs: this.#cpuMs,
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

  #backTo({ at, entries, calls, said, cpuMs, pending, cell }: Place): void {
    this.#entries = this.#entries.slice(0, entries);
    // The opening is the first entry, and is not in the list.
    this.#reads = this.#reads.filter(({ entry }) => entry <= entries + 1);
    this.#torns = this.#torns.filter((torn) => torn.at <= at);
    this.#images = this.#images.filter(({ place }) => place.at <= at);
    const twice = this.#doneTwice(this.#callsMade.slice(calls), cell);
    if (twice !== undefined) this.#tear(twice);
    this.#cpuMs = cpuMs;
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
    const from = this.#images.at(-1);
    const lived = from?.place.entries ?? 0;
    // The opening is the first entry.
    const reads = this.#reads
      .flatMap(({ text, entry }) => (from === undefined || entry > lived + 1 ? [text] : []))
      .join('');
    return {
      life,
      cuts: this.#cuts,
      spec,
      openedMs: this.#openedMs,
      entries,
      reads,
      calls: this.#calls,
      granted: this.#grantedBy(entries.length) ?? spec,
      image: from && {
        number: from.number,
        entries: lived,
        cells: this.#cellsOf(entries.slice(0, lived)),
        granted: this.#grantedBy(lived) ?? spec,
      },
      cpuMs: this.#cpuMs - (from?.place.cpuMs ?? 0),
      unended: [...this.#unended.values()],
      said: this.#said,
      saidBefore: from?.place.said ?? NOTHING_SAID,
      kept: { used: [...this.#used.values()], once: [...this.#once], secrets: this.#secrets },
      audited: this.#audited,
      stops: this.#stops,
      pending: this.#pending,
      torn: this.#torn,
      marks: Array.from(this.#marks.values(), ({ mark, place }) => ({
        mark,
        image: this.#images.findLast((image) => image.place.at <= place.at)?.number,
      })),
      last: {
        cell: lastOf(this.#cells),
        grant: lastOf(this.#grants),
        question: lastOf(this.#questions),
        image: this.#lastImage,
      },
      steps: (limits) => [
        ...(reads === '' ? [] : [{ op: 'reads' as const, reads }]),
        ...entries.slice(lived).flatMap((entry) => this.#stepOf(entry, limits) ?? []),
      ],
    };
  }

  /** What the isolate was told of its capabilities last among so many entries. */
  #grantedBy(entries: number): CapabilityGrant | undefined {
    const last = this.#entries.slice(0, entries).findLast(({ entry }) => entry.op === 'grant');
    return last && this.#grants.get(last.entry.ref)?.grant;
  }

  /** The cells that ran last, oldest first. */
  #cellsOf(entries: readonly IsolateEntry[]): (readonly [cell: number, source: string])[] {
    const cells: (readonly [number, string])[] = [];
    let characters = 0;
    for (const { op, ref } of entries.toReversed()) {
      const source = op === 'run' ? this.#cells.get(ref)?.source : undefined;
      if (source === undefined) continue;
      characters += source.length;
      if (cells.length >= CELLS_KEPT || characters > CELL_CHARACTERS_KEPT) break;
      cells.unshift([ref, source]);
    }
    return cells;
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

/** Numbers are given in ascending order. */
const lastOf = (numbered: ReadonlyMap<number, unknown>): number => [...numbered.keys()].at(-1) ?? 0;
