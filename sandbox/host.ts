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
import type { FromHost, HostLanguage, IsolateSpec, ToHost } from './protocol.ts';
import type { HostSession, SessionMessage } from './session.ts';

export interface HostPowers {
  nowMs(): number;
  monotonicMs(): number;
  readonly v8: string;
}

/** How often running sessions are held against their CPU limits. */
const TICK_MS = 10;

export class SandboxHost {
  readonly #channel: Channel;
  readonly #powers: HostPowers;
  readonly #sessions = new Map<string, HostSession>();
  readonly #active = new Set<string>();
  readonly #spares: Isolate[] = [];
  #cordon: { language: HostLanguage; heapMiB: number; spares: number } = {
    language: 'javascript',
    heapMiB: 0,
    spares: 0,
  };
  #refilling = false;
  #ticker: NodeJS.Timeout | undefined;

  constructor(channel: Channel, powers: HostPowers) {
    this.#channel = channel;
    this.#powers = powers;
  }

  start(): void {
    this.#channel.onMessage((message) => this.#handle(message));
    // The first isolate of a process costs several times what the next ones do, so it is made before anybody waits for it.
    new Isolate(8, PRELUDE).dispose();
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
        this.#open(message.isolate, message.heapMiB, message.spec);
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

  #open(name: string, heapMiB: number, spec: IsolateSpec): void {
    const spare = heapMiB === this.#cordon.heapMiB ? this.#spares.pop() : undefined;
    const isolate = spare ?? new Isolate(heapMiB, PRELUDE);
    const session = new JavaScriptSession(isolate, this.#cordon.language, spec, {
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

  #forget(name: string): void {
    this.#sessions.delete(name);
    this.#setActive(name, false);
  }

  #setActive(name: string, active: boolean): void {
    if (active) this.#active.add(name);
    else this.#active.delete(name);
    if (this.#active.size > 0) {
      this.#ticker ??= setInterval(() => {
        for (const running of this.#active) this.#sessions.get(running)?.tick();
      }, TICK_MS);
    } else {
      clearInterval(this.#ticker);
      this.#ticker = undefined;
    }
  }

  /** Makes spare isolates one at a time, each in a turn of its own, so that nobody waits for more than one. */
  #refill(): void {
    if (this.#refilling || this.#spares.length >= this.#cordon.spares) return;
    this.#refilling = true;
    setTimeout(() => {
      this.#refilling = false;
      this.#spares.push(new Isolate(this.#cordon.heapMiB, PRELUDE));
      this.#refill();
    }, 5);
  }
}
