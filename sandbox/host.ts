/**
 * A sandbox host: owns the isolates of one cordon and does what the daemon says. It knows no policy, no identity and no secret.
 *
 * I1: an isolate name is used once; a message about an unknown one is ignored, because its session is gone.
 * I2: a spare isolate has never run guest code, and one that was given to a session never becomes a spare again.
 */
import type { Channel } from './channel.ts';
import { Isolate } from './isolate.ts';
import { openImage } from './javascript/image.ts';
import { JavaScriptSession } from './javascript/javascript-session.ts';
import { JAVASCRIPT, TYPESCRIPT } from './javascript/language.ts';
import { PRELUDE } from './javascript/prelude.ts';
import type { FromHost, HostLanguage, IsolateSpec, PlatformSpec, ToHost } from './protocol.ts';
import { PYTHON } from './python/language.ts';
import { PackageFiles } from './python/package-files.ts';
import { PythonIsolates } from './python/python-isolates.ts';
import type { HostSession, SessionMessage, SessionPowers } from './session.ts';
import type { OpenedImage, SessionLanguage } from './session-language.ts';

export interface HostPowers {
  nowMs(): number;
  monotonicMs(): number;
  /** CPU time of this process, all its threads together. */
  processCpuMs(): number;
  readonly v8: string;
  /** Where the daemon keeps snapshots of CPython. */
  readonly snapshotFolder: string | undefined;
}

const LANGUAGES: Readonly<Record<HostLanguage, SessionLanguage>> = {
  javascript: JAVASCRIPT,
  typescript: TYPESCRIPT,
  python: PYTHON,
};

type Cordon = Extract<ToHost, { kind: 'host.join' }>;
type Opening = Extract<ToHost, { kind: 'isolate.open' }>;

const INSTALL_MS = 5000;
/** The smallest that V8 makes, and what the lowest levels have. */
const WARM_UP_SPEC: IsolateSpec = {
  heapMiB: 8,
  platform: { liveClock: false, webAssembly: false, sharedMemory: false, resizableBuffers: false },
  seed: '0'.repeat(32),
  liveRandom: false,
  outputs: ['print', 'console', 'display', 'log'],
  capabilities: [],
  patient: [],
  docs: [],
  valueBytesMax: 1024,
  pendingCallsMax: 1,
  timersMax: 1,
  backgroundCpuMsMax: INSTALL_MS,
};
/** What most sessions do first. */
const WARM_UP_CELL = 'const warm = { up: [1] }; print(warm); await warm.up[0];';
/** How often running sessions are held against their CPU limits. */
const TICK_MS = 10;
const IDLE_TICKS_MAX = 100;

export class SandboxHost {
  readonly #channel: Channel;
  readonly #powers: HostPowers;
  readonly #sessions = new Map<string, HostSession>();
  readonly #active = new Set<string>();
  /** Those that were active at some time since the last tick. */
  readonly #touched = new Set<string>();
  #cpuMsAtTick = 0;
  readonly #spares: Isolate[] = [];
  #cordon: Cordon | undefined;
  #python: PythonIsolates | undefined;
  readonly #packages = new PackageFiles();
  /** What came while CPython was being loaded; undefined while it is not. */
  #held: ToHost[] | undefined;
  #refilling = false;
  #ticker: NodeJS.Timeout | undefined;
  #idleTicks = 0;

  constructor(channel: Channel, powers: HostPowers) {
    this.#channel = channel;
    this.#powers = powers;
  }

  start(): void {
    this.#channel.onMessage((message) => this.#handle(message));
    this.#channel.send({ kind: 'host.ready', v8: this.#powers.v8 });
  }

  #handle(message: ToHost): void {
    if (this.#held !== undefined && message.kind !== 'host.ping') {
      this.#held.push(message);
      return;
    }
    switch (message.kind) {
      case 'host.join':
        this.#join(message);
        return;
      case 'host.package':
        this.#packages.add(message);
        return;
      case 'host.ping':
        this.#channel.send({ kind: 'host.pong', id: message.id });
        return;
      case 'isolate.open':
        this.#open(message);
        return;
      case 'isolate.dispose':
        this.#sessions.get(message.isolate)?.dispose();
        this.#forget(message.isolate);
        return;
      case 'isolate.replay':
        this.#sessions.get(message.isolate)?.replay(message.steps, message.last);
        return;
      case 'capabilities.set':
        this.#sessions.get(message.isolate)?.setCapabilities(message, message.number);
        return;
      case 'cell.run':
        this.#sessions.get(message.isolate)?.run(message.cell, message.source, message.limits);
        return;
      case 'cell.stop':
        this.#sessions.get(message.isolate)?.stop(message.cell);
        return;
      case 'call.settle':
        this.#sessions.get(message.isolate)?.settleCall(message.call, message.ok, message.json);
        return;
      case 'ask':
        this.#sessions.get(message.isolate)?.ask(message.id, message.question);
        return;
    }
  }

  #join(cordon: Cordon): void {
    this.#cordon = cordon;
    void LANGUAGES[cordon.language].warm();
    if (cordon.language === 'python') this.#loadPython(cordon);
    else this.#refill();
  }

  #loadPython(cordon: Cordon): void {
    this.#held = [];
    const told = (name: string, found: boolean): void => this.#channel.send({ kind: 'host.snapshot', name, found });
    // Where it fails, the error ends the host, and the daemon is told why on the standard error.
    void PythonIsolates.load(this.#powers.snapshotFolder, cordon.heapMiB, told, this.#packages).then((isolates) => {
      this.#python = isolates;
      const held = this.#held ?? [];
      this.#held = undefined;
      for (const message of held) this.#handle(message);
      this.#refill();
    });
  }

  #make(spec: IsolateSpec | Cordon): Isolate {
    return this.#python?.make(spec) ?? makeIsolate(spec);
  }

  /** Undefined where it would have to go on from an image that cannot be used. */
  #isolateFor({ spec, image }: Opening): { readonly isolate: Isolate; readonly opened?: OpenedImage } | undefined {
    if (image !== undefined && this.#python !== undefined) {
      const isolate = this.#python.makeFrom(image.image, spec);
      return isolate && { isolate };
    }
    const opened = image && openImage(image.image);
    if (image !== undefined && opened === undefined) return undefined;
    const suits = this.#cordon !== undefined && isSame(spec, this.#cordon);
    const isolate = (suits ? this.#spares.pop() : undefined) ?? this.#make(spec);
    return opened === undefined ? { isolate } : { isolate, opened };
  }

  #open(opening: Opening): void {
    const { isolate: name, spec, openedMs, image } = opening;
    const made = this.#isolateFor(opening);
    if (made === undefined) {
      this.#channel.send({
        kind: 'isolate.replayed',
        isolate: name,
        problem: 'its image is of another version, or damaged',
      });
      return;
    }
    const language = LANGUAGES[this.#cordon?.language ?? 'javascript'];
    const powers: SessionPowers = {
      send: (message: SessionMessage) => {
        if (message.kind === 'isolate.lost') this.#forget(name);
        this.#channel.send({ ...message, isolate: name } as FromHost);
      },
      nowMs: this.#powers.nowMs,
      monotonicMs: this.#powers.monotonicMs,
      doomed: (by, message) => this.#channel.send({ kind: 'host.doomed', isolate: name, by, message }),
      setActive: (active) => this.#setActive(name, active),
      another: () => this.#make(spec),
    };
    const again = openedMs === undefined ? undefined : { openedMs, image, opened: made.opened };
    const session = new JavaScriptSession(made.isolate, language, spec, powers, again);
    this.#sessions.set(name, session);
    this.#refill();
  }

  /** What this process spent on the cores since the last tick is shared out by how long each session ran or wanted to run. */
  #shareCpu(): void {
    const cpuMs = this.#powers.processCpuMs();
    const touched = [...this.#touched].flatMap((name) => this.#sessions.get(name) ?? []);
    const wanted = touched.reduce((sum, { unsettledMs }) => sum + unsettledMs, 0);
    const share = wanted === 0 ? 1 : Math.min(1, (cpuMs - this.#cpuMsAtTick) / wanted);
    for (const session of touched) session.settleCpu(share);
    this.#cpuMsAtTick = cpuMs;
    this.#touched.clear();
    for (const name of this.#active) this.#touched.add(name);
  }

  #forget(name: string): void {
    this.#sessions.delete(name);
    this.#setActive(name, false);
  }

  #setActive(name: string, active: boolean): void {
    if (!active) {
      this.#active.delete(name);
      return;
    }
    this.#active.add(name);
    this.#touched.add(name);
    this.#idleTicks = 0;
    if (this.#ticker !== undefined) return;
    this.#cpuMsAtTick = this.#powers.processCpuMs();
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
  }

  #tick(): void {
    this.#shareCpu();
    for (const name of this.#active) this.#sessions.get(name)?.tick();
    // Cells come in bursts, and a timer that is started and stopped for each of them costs more than one that runs on a little.
    if (this.#active.size > 0 || ++this.#idleTicks < IDLE_TICKS_MAX) return;
    clearInterval(this.#ticker);
    this.#ticker = undefined;
  }

  /** Makes spare isolates one at a time, each in a turn of its own, so that nobody waits for more than one. */
  #refill(): void {
    const cordon = this.#cordon;
    if (cordon === undefined || this.#refilling || this.#spares.length >= cordon.spares) return;
    this.#refilling = true;
    setTimeout(() => {
      this.#refilling = false;
      const spare = this.#make(cordon);
      this.#spares.push(spare);
      void this.#python?.shareCode(spare, () => this.#spares.includes(spare));
      this.#refill();
    }, LANGUAGES[cordon.language].refillMs);
  }
}

/** An isolate with its platform installed; what is entered next waits until that is done. */
function makeIsolate({ heapMiB, platform, capabilities }: IsolateSpec | Cordon): Isolate {
  const isolate = new Isolate(heapMiB, PRELUDE);
  void isolate.enter(INSTALL_MS, installEntry(platform, capabilities));
  return isolate;
}

const installEntry = (platform: PlatformSpec, capabilities: readonly string[]): [string, number, string, string] => [
  'install',
  0,
  '',
  JSON.stringify({ platform, capabilities }),
];

/**
 * Runs a cell of ours in an isolate that is given to nobody. The first of a process costs several times what the next ones do, and
 * what V8 compiles of the prelude for it need not be compiled for them.
 */
export async function warmUp(powers: Pick<HostPowers, 'nowMs' | 'monotonicMs'>): Promise<void> {
  const isolate = makeIsolate(WARM_UP_SPEC);
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const session = new JavaScriptSession(
    isolate,
    JAVASCRIPT,
    WARM_UP_SPEC,
    {
      ...powers,
      send: ({ kind }) => {
        if (kind === 'cell.done' || kind === 'isolate.lost') resolve();
      },
      doomed: () => resolve(),
      setActive: () => undefined,
      another: () => makeIsolate(WARM_UP_SPEC),
    },
    undefined,
  );
  session.run(1, WARM_UP_CELL, { cpuMs: INSTALL_MS, wallMs: INSTALL_MS, outputBytes: 1024 });
  await over;
  isolate.shareCode(PRELUDE);
  session.dispose();
}

function isSame(spec: IsolateSpec, cordon: Cordon): boolean {
  const [one, other] = [spec, cordon].map(({ platform, packages = [] }) => JSON.stringify([platform, packages]));
  return spec.heapMiB === cordon.heapMiB && one === other;
}
