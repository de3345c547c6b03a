/**
 * A sandbox host: owns the isolates of one cordon and does what the daemon says. It knows no policy, no identity and no secret.
 *
 * I1: an isolate name is used once; a message about an unknown one is ignored, because its session is gone.
 * I2: a spare isolate has never run guest code, and one that was given to a session never becomes a spare again.
 */
import type { Channel } from './channel.ts';
import { Isolate } from './isolate.ts';
import { JavaScriptSession } from './javascript/javascript-session.ts';
import { PRELUDE } from './javascript/prelude.ts';
import { warmTypescript } from './javascript/prepare.ts';
import type { FromHost, IsolateSpec, PlatformSpec, ToHost } from './protocol.ts';
import type { HostSession, SessionMessage } from './session.ts';

export interface HostPowers {
  nowMs(): number;
  monotonicMs(): number;
  /** CPU time of this process, all its threads together. */
  processCpuMs(): number;
  readonly v8: string;
}

type Cordon = Extract<ToHost, { kind: 'host.join' }>;

/** A spare is made in a quiet moment: not in the turn in which somebody waits for an answer. */
const REFILL_MS = 5;
const INSTALL_MS = 5000;
/** The smallest that V8 makes. */
const WARM_UP_MIB = 8;
const BARE_PLATFORM: PlatformSpec = {
  liveClock: false,
  webAssembly: false,
  sharedMemory: false,
  resizableBuffers: false,
};
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
  #refilling = false;
  #ticker: NodeJS.Timeout | undefined;
  #idleTicks = 0;

  constructor(channel: Channel, powers: HostPowers) {
    this.#channel = channel;
    this.#powers = powers;
  }

  start(): void {
    this.#channel.onMessage((message) => this.#handle(message));
    // The first isolate of a process costs several times what the next ones do, so it is made before anybody waits for it.
    void warmUp();
    this.#channel.send({ kind: 'host.ready', v8: this.#powers.v8 });
  }

  #handle(message: ToHost): void {
    switch (message.kind) {
      case 'host.join':
        this.#cordon = message;
        if (message.language === 'typescript') void warmTypescript();
        this.#refill();
        return;
      case 'host.ping':
        this.#channel.send({ kind: 'host.pong', id: message.id });
        return;
      case 'isolate.open':
        this.#open(message.isolate, message.spec);
        return;
      case 'isolate.dispose':
        this.#sessions.get(message.isolate)?.dispose();
        this.#forget(message.isolate);
        return;
      case 'capabilities.set':
        this.#sessions.get(message.isolate)?.setCapabilities(message.capabilities);
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

  #open(name: string, spec: IsolateSpec): void {
    const suits = this.#cordon !== undefined && isSame(spec, this.#cordon);
    const isolate = (suits ? this.#spares.pop() : undefined) ?? makeIsolate(spec.heapMiB, spec.platform);
    const session = new JavaScriptSession(isolate, this.#cordon?.language ?? 'javascript', spec, {
      send: (message: SessionMessage) => {
        if (message.kind === 'isolate.lost') this.#forget(name);
        this.#channel.send({ ...message, isolate: name } as FromHost);
      },
      nowMs: this.#powers.nowMs,
      monotonicMs: this.#powers.monotonicMs,
      doomed: (message) => this.#channel.send({ kind: 'host.doomed', isolate: name, message }),
      setActive: (active) => this.#setActive(name, active),
    });
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
      this.#spares.push(makeIsolate(cordon.heapMiB, cordon.platform));
      this.#refill();
    }, REFILL_MS);
  }
}

/** An isolate with its platform installed; what is entered next waits until that is done. */
function makeIsolate(heapMiB: number, platform: PlatformSpec): Isolate {
  const isolate = new Isolate(heapMiB, PRELUDE);
  void isolate.enter(INSTALL_MS, installEntry(platform));
  return isolate;
}

const installEntry = (platform: PlatformSpec): [string, number, string, string] => [
  'install',
  0,
  '',
  JSON.stringify(platform),
];

async function warmUp(): Promise<void> {
  const isolate = new Isolate(WARM_UP_MIB, PRELUDE);
  await isolate.enter(INSTALL_MS, installEntry(BARE_PLATFORM));
  await isolate.dispose();
}

function isSame(spec: IsolateSpec, cordon: Cordon): boolean {
  return spec.heapMiB === cordon.heapMiB && JSON.stringify(spec.platform) === JSON.stringify(cordon.platform);
}
