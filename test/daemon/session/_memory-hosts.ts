/**
 * Sandbox hosts in this very process: the code of real ones behind a channel of real messages, to be killed at any moment. All of
 * them share one `SandboxHost`, whose spare isolates would otherwise have to be made anew for every host that is killed.
 */
import { randomBytes } from 'node:crypto';
import { parseHostLine } from '../../../daemon/hosts/host-messages.ts';
import type { Cordon, IsolateLink, IsolateMessage, IsolateOwner, Reopening } from '../../../daemon/hosts/host-pool.ts';
import { SandboxHost } from '../../../sandbox/host.ts';
import type { FromHost, IsolateSpec, ToHost } from '../../../sandbox/protocol.ts';

type Receiver = (message: IsolateMessage) => void;
type Again = Reopening | undefined;

/** The process that all hosts of a test file stand for. */
class SharedHost {
  readonly #receivers = new Map<string, Receiver>();
  #receive: (message: ToHost) => void = () => undefined;
  #said: FromHost[] = [];

  constructor() {
    const channel = {
      send: (message: FromHost) => {
        if (this.#said.push(message) === 1) setImmediate(() => this.#flush());
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
      v8: process.versions.v8,
      snapshotFolder: undefined,
    }).start();
  }

  #flush(): void {
    const line = JSON.stringify(this.#said);
    this.#said = [];
    for (const message of parseHostLine(line))
      if ('isolate' in message && message.isolate !== null)
        this.#receivers.get(message.isolate)?.(message as IsolateMessage);
  }

  open(spec: IsolateSpec, again: Again, receive: Receiver): string {
    const isolate = randomBytes(16).toString('hex');
    this.#receivers.set(isolate, receive);
    this.tell({ kind: 'isolate.open', isolate, spec, ...again });
    return isolate;
  }

  tell(message: ToHost): void {
    this.#receive(message);
  }

  dispose(isolate: string): void {
    if (this.#receivers.delete(isolate)) this.tell({ kind: 'isolate.dispose', isolate });
  }
}

let shared: SharedHost | undefined;

interface Held {
  readonly isolate: string;
  readonly owner: IsolateOwner;
}

/** The hosts of one daemon. */
export class MemoryHosts {
  readonly #step: (moment: string) => void;
  readonly #held = new Set<Held>();
  /** Their hosts have died, and their owners have still to be told. */
  readonly #lost = new Set<Held>();

  /** @param step called at every moment at which the world may come to an end */
  constructor(step: (moment: string) => void) {
    this.#step = step;
  }

  open(_: Cordon, spec: IsolateSpec, __: boolean, owner: IsolateOwner, again?: Again): IsolateLink {
    if ([...this.#held].some((held) => held.owner === owner)) throw new Error('A session has opened a second isolate.');
    shared ??= new SharedHost();
    const host = shared;
    const isolate = host.open(JSON.parse(JSON.stringify(spec)), again, (message) => {
      // Each in a turn of its own, so that the daemon may die between any two of them.
      setImmediate(() => this.#deliver(held, message));
    });
    const held: Held = { isolate, owner };
    this.#held.add(held);
    return {
      send: (command) => {
        const text = JSON.stringify({ ...command, isolate });
        setImmediate(() => {
          if (!this.#held.has(held)) return;
          this.#step(`to host ${command.kind}`);
          if (this.#held.has(held)) host.tell(JSON.parse(text));
        });
      },
      dispose: () => {
        // As from a real pool: who has given its isolate up is not told of it any more.
        this.#lost.delete(held);
        this.#drop(held);
      },
      killHost: () => this.killAll(),
      ready: true,
    };
  }

  #deliver(held: Held, message: IsolateMessage): void {
    if (!this.#held.has(held)) return;
    this.#step(`before ${message.kind}`);
    if (!this.#held.has(held)) return;
    if (message.kind === 'isolate.lost') throw new Error(`an isolate was lost: ${message.message}`);
    held.owner.onMessage(message);
    this.#step(`after ${message.kind}`);
    // What came of it is committed in this turn, and what waited for that has been told.
    setImmediate(() => this.#step(`committed ${message.kind}`));
  }

  #drop(held: Held): void {
    if (this.#held.delete(held)) shared?.dispose(held.isolate);
  }

  /** The hosts die, and the daemon is told in a turn of its own. */
  killAll(): void {
    const held = [...this.#held];
    for (const each of held) {
      this.#drop(each);
      this.#lost.add(each);
    }
    setImmediate(() => {
      for (const each of held)
        if (this.#lost.delete(each)) {
          const { owner } = each;
          owner.onLost({ by: 'host', culprit: owner.executing, message: 'The sandbox host died.' });
        }
    });
  }

  /** Their daemon has died, and they with it. */
  end(): void {
    this.#lost.clear();
    for (const each of [...this.#held]) this.#drop(each);
  }
}
