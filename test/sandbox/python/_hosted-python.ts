import type { CellLimits, CellOutcome, IsolateSpec } from '../../../sandbox/protocol.ts';
import { Hosted, PLATFORM } from '../_hosted.ts';

const SPEC: Partial<IsolateSpec> = { heapMiB: 32, capabilities: [], patient: [], valueBytesMax: 4096, timersMax: 100 };

/** A sandbox host of Python sessions in this very process. */
export class HostedPython extends Hosted {
  constructor() {
    super();
    this.tell({ kind: 'host.join', language: 'python', heapMiB: 32, platform: PLATFORM, capabilities: [], spares: 0 });
  }

  override open(isolate: string, spec: Partial<IsolateSpec> = {}): void {
    super.open(isolate, { ...SPEC, ...spec });
  }

  /** Makes a lost isolate again. */
  openAgain(isolate: string, openedMs: number, spec: IsolateSpec): void {
    this.tell({ kind: 'isolate.open', isolate, spec: { ...spec, ...SPEC }, openedMs });
  }

  async outcome(isolate: string, source: string, limits: Partial<CellLimits> = {}): Promise<CellOutcome> {
    return (await this.run(isolate, source, { outputBytes: 10_000, cpuMs: 30_000, wallMs: 60_000, ...limits })).outcome;
  }

  /** The value of a cell; of what is no JSON its preview, and of an error its name and message. */
  async value(isolate: string, source: string, limits: Partial<CellLimits> = {}): Promise<unknown> {
    const outcome = await this.outcome(isolate, source, limits);
    if (outcome.status === 'value') return JSON.parse(outcome.json);
    if (outcome.status === 'preview') return outcome.text;
    if (outcome.status === 'stopped') return `stopped by ${outcome.by}`;
    return `${outcome.error.name}: ${outcome.error.message}`;
  }
}
