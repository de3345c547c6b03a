import { SandboxHost } from '../../sandbox/host.ts';
import type {
  Answer,
  CellLimits,
  FromHost,
  IsolateSpec,
  PlatformSpec,
  Question,
  ToHost,
} from '../../sandbox/protocol.ts';

export const PLATFORM: PlatformSpec = {
  liveClock: false,
  webAssembly: false,
  sharedMemory: false,
  resizableBuffers: false,
};

export const SPEC: IsolateSpec = {
  heapMiB: 32,
  platform: PLATFORM,
  seed: '00112233445566778899aabbccddeeff',
  liveRandom: false,
  outputs: ['print', 'console', 'display', 'log'],
  capabilities: ['input'],
  patient: ['input'],
  docs: [],
  valueBytesMax: 4096,
  pendingCallsMax: 3,
  timersMax: 10,
  backgroundCpuMsMax: 200,
};

export const LIMITS: CellLimits = { cpuMs: 2000, wallMs: 10_000, outputBytes: 1000 };

type Message<K extends FromHost['kind']> = Extract<FromHost, { kind: K }>;

/** A sandbox host in this very process, spoken to over a channel in memory. */
export class Hosted {
  readonly said: FromHost[] = [];
  /** Called after everything that is said. */
  onSaid: () => void = () => undefined;
  readonly #watchers = new Set<() => void>();
  readonly #isolates = new Set<string>();
  #receive: (message: ToHost) => void = () => undefined;
  #cells = 0;
  #asked = 0;

  constructor() {
    const channel = {
      send: (message: FromHost) => {
        this.said.push(message);
        for (const watch of [...this.#watchers]) watch();
        this.onSaid();
      },
      onMessage: (receive: (message: ToHost) => void) => {
        this.#receive = receive;
      },
      onClose: () => undefined,
    };
    new SandboxHost(channel, {
      nowMs: Date.now,
      monotonicMs: () => performance.now(),
      processCpuMs: () => process.cpuUsage().user / 1000,
      v8: 'test',
      snapshotFolder: undefined,
    }).start();
  }

  tell(message: ToHost): void {
    if (message.kind === 'isolate.open') this.#isolates.add(message.isolate);
    this.#receive(message);
  }

  open(isolate: string, spec: Partial<IsolateSpec> = {}): void {
    this.tell({ kind: 'isolate.open', isolate, spec: { ...SPEC, ...spec } });
  }

  /** The first message of that kind, said already or yet to come, that `matches`. */
  heard<K extends FromHost['kind']>(
    kind: K,
    matches: (message: Message<K>) => boolean = () => true,
  ): Promise<Message<K>> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.said.find((said) => said.kind === kind && matches(said as Message<K>));
        if (found === undefined) return;
        this.#watchers.delete(look);
        resolve(found as Message<K>);
      };
      this.#watchers.add(look);
      look();
    });
  }

  start(isolate: string, source: string, limits: Partial<CellLimits> = {}): number {
    const cell = ++this.#cells;
    this.tell({ kind: 'cell.run', isolate, cell, source, limits: { ...LIMITS, ...limits } });
    return cell;
  }

  done(cell: number): Promise<Message<'cell.done'>> {
    return this.heard('cell.done', (message) => message.cell === cell);
  }

  run(isolate: string, source: string, limits: Partial<CellLimits> = {}): Promise<Message<'cell.done'>> {
    return this.done(this.start(isolate, source, limits));
  }

  async ask(isolate: string, question: Question): Promise<Message<'answer'> | Message<'refusal'>> {
    const id = ++this.#asked;
    this.tell({ kind: 'ask', isolate, id, question });
    return Promise.race([
      this.heard('answer', (message) => message.id === id),
      this.heard('refusal', (message) => message.id === id),
    ]);
  }

  async imageOf(isolate: string): Promise<Extract<Answer, { about: 'image' }>> {
    const told = await this.ask(isolate, { about: 'image' });
    if (told.kind !== 'answer' || told.answer.about !== 'image') throw new Error(JSON.stringify(told));
    return told.answer;
  }

  /** An isolate that is not disposed of keeps this process from ending. */
  close(): void {
    for (const isolate of this.#isolates) this.tell({ kind: 'isolate.dispose', isolate });
  }
}
