/** A daemon that is killed and started again over the same state directory, with a client that keeps its name. */
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { ApprovalInfo, ExecutionResult, Params, SessionEvent } from '../../client/protocol.ts';
import { DaemonProcess, type RawClient } from '../harness/daemon-process.ts';

const ATTEMPTS_MAX = 50;
const TOKEN = 'survivor-token-of-the-tests-0123456789';

/** The JSON value of a result; the whole of one that has none. */
export const jsonOf = (result: ExecutionResult): unknown =>
  result.value?.kind === 'json' ? result.value.json : result;

export class Survivor {
  readonly #t: Pick<ExecutionContext, 'teardown'>;
  /** Of the next daemon. */
  args: readonly string[];
  readonly #preload: readonly string[];
  readonly stateDir = mkdtempSync(join(tmpdir(), 'pyrepl3-chaos-'));
  daemon!: DaemonProcess;
  client!: RawClient;
  sessionId = '';
  /** Every event of the session once, in the order of their numbers. */
  readonly events: SessionEvent[] = [];
  #executions = 0;
  readonly #killed = new Set<number>();

  private constructor(t: Pick<ExecutionContext, 'teardown'>, args: readonly string[], preload: readonly string[]) {
    this.#t = t;
    this.args = args;
    this.#preload = preload;
  }

  static async start(
    t: Pick<ExecutionContext, 'teardown' | 'timeout'>,
    params: Params<'session.create'> = { level: 'trusted' },
    args: readonly string[] = [],
    preload: readonly string[] = [],
  ): Promise<Survivor> {
    t.timeout(120_000);
    const survivor = new Survivor(t, ['--client-ceiling', 'unrestricted', ...args], preload);
    await survivor.#boot();
    survivor.sessionId = (await survivor.client.call('session.create', params)).sessionId;
    return survivor;
  }

  async #boot(): Promise<void> {
    this.daemon = await DaemonProcess.start(this.#t, {
      ...{ stateDir: this.stateDir, args: this.args, preload: this.#preload },
    });
    this.client = await this.daemon.connect();
    await this.client.call('daemon.hello', { token: TOKEN });
  }

  /** Kills the daemon in whatever it is doing, and starts another one over what it left. */
  async crash(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#gather();
    this.client.close();
    await this.daemon.stop(signal);
    await this.again();
  }

  /** Resolves when the daemon has been killed from inside. */
  async died(): Promise<void> {
    if (this.daemon.running) await once(this.daemon.child, 'exit');
  }

  /** Starts over what a daemon that has ended by itself left. */
  async again(): Promise<void> {
    this.#gather();
    await this.#boot();
    const afterSeq = this.events.at(-1)?.seq ?? 0;
    await this.client.call('session.attach', { sessionId: this.sessionId, afterSeq });
  }

  #gather(): void {
    const last = this.events.at(-1)?.seq ?? 0;
    this.events.push(...this.client.events.filter(({ sessionId, seq }) => sessionId === this.sessionId && seq > last));
  }

  /** Starts over what a daemon that dies has left, also where the next one dies while it starts. */
  async comeBack(): Promise<void> {
    await this.died();
    for (let attempts = 0; ; attempts++) {
      try {
        await this.again();
        return;
      } catch (error) {
        if (attempts >= ATTEMPTS_MAX) throw error;
      }
    }
  }

  /** All events so far; numbers must have no gap. */
  get told(): readonly SessionEvent[] {
    this.#gather();
    return this.events;
  }

  get printed(): string {
    return this.told.map((event) => (event.kind === 'output' ? event.text : '')).join('');
  }

  /** Begins a cell, and keeps on asking for its result, whatever happens to the daemon meanwhile. */
  begin(source: string): {
    readonly executionId: string;
    readonly result: (onClosed?: () => Promise<void>) => Promise<ExecutionResult>;
  } {
    const executionId = `exe_${++this.#executions}`;
    const ask = (): Promise<ExecutionResult> =>
      this.client.call('session.execute', { sessionId: this.sessionId, source, executionId });
    let via = this.client;
    let asked: Promise<ExecutionResult | undefined> = ask().catch(() => undefined);
    return {
      executionId,
      result: async (onClosed) => {
        for (;;) {
          const result = await asked;
          if (result !== undefined) return result;
          // Whoever else waits may have started the daemon again already.
          if (this.client === via) await onClosed?.();
          via = this.client;
          asked = ask().catch((error: Error) => {
            if (error.message.startsWith('closed')) return undefined;
            throw error;
          });
        }
      },
    };
  }

  run(source: string): Promise<ExecutionResult> {
    return this.begin(source).result();
  }

  event(matches: (event: SessionEvent) => boolean): Promise<SessionEvent> {
    return this.client.event((event) => event.sessionId === this.sessionId && matches(event));
  }

  /** Answers the open question of the session, which is to have that prompt. */
  async answer(prompt: string, text: string): Promise<void> {
    const told = await this.#told((event) => event.kind === 'input.requested' && event.prompt === prompt);
    const { requestId } = told as SessionEvent & { kind: 'input.requested' };
    await this.client.call('input.answer', { sessionId: this.sessionId, requestId, text });
  }

  /** Resolves when the session asks that. */
  async asks(prompt: string): Promise<void> {
    await this.#told((event) => event.kind === 'input.requested' && event.prompt === prompt);
  }

  /** The first such event, told by any of the daemons. */
  async #told(matches: (event: SessionEvent) => boolean): Promise<SessionEvent> {
    return this.told.find(matches) ?? (await this.event(matches));
  }

  /** The oldest request of that kind that waits for an administrator. */
  async asked(kind: ApprovalInfo['kind']): Promise<ApprovalInfo> {
    const admin = await this.daemon.connect('admin');
    try {
      for (let change = 0; ; ) {
        const { approvals, change: latest } = await admin.call('approval.list', {
          status: 'pending',
          afterChange: change,
          waitMs: 10_000,
        });
        const found = approvals.find((each) => each.kind === kind && each.sessionId === this.sessionId);
        if (found !== undefined) return found;
        change = latest;
      }
    } finally {
      admin.close();
    }
  }

  async settle(kind: ApprovalInfo['kind'], decision: 'approve' | 'deny', value?: unknown): Promise<ApprovalInfo> {
    const asked = await this.asked(kind);
    const admin = await this.daemon.connect('admin');
    const { approvalId, hash } = asked;
    await admin.call('approval.settle', { approvalId, hash, decision, ...(value === undefined ? {} : { value }) });
    admin.close();
    return asked;
  }

  /** Kills every host that holds a session. */
  async killHosts(): Promise<void> {
    const admin = await this.daemon.connect('admin');
    const { hosts } = await admin.call('daemon.stats', {});
    admin.close();
    for (const { pid, isolates } of hosts) {
      if (isolates === 0) continue;
      this.#killed.add(pid);
      process.kill(pid, 'SIGKILL');
    }
  }

  /** Resolves when no host that was there at the last `killHosts` is left. */
  async hostGone(): Promise<void> {
    const admin = await this.daemon.connect('admin');
    for (;;) {
      const { hosts } = await admin.call('daemon.stats', {});
      if (!hosts.some(({ pid }) => this.#killed.has(pid))) break;
    }
    admin.close();
  }

  /** Numbers of events have no gap, and none comes twice. */
  get gapless(): boolean {
    return this.told.every(({ seq }, index) => seq === index + 1);
  }
}
