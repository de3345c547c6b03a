/** A client that wants the results of its program, whatever happens to the daemon, and remembers all that it was ever told. */
import type { ExecutionResult, SessionEvent } from '../../../client/protocol.ts';
import type { Session } from '../../../daemon/session/session.ts';
import { DoomedDaemon, LEVEL, OWNER, type Run } from './_doomed-daemon.ts';
import { lastCell, PREAMBLE, type Program, sourceOf } from './_random-program.ts';

const CALLER = { role: 'client' as const, principal: OWNER };
const GRANTS = ['print', 'input', 'kv', 'tally', 'strike'];
const LIVE_GRANTS = [...GRANTS, 'time', 'random'];

interface Asked {
  readonly executionId: string;
  readonly source: string;
  readonly rollback: boolean;
}

export class StubbornClient {
  readonly events: SessionEvent[] = [];
  readonly results = new Map<string, ExecutionResult>();
  readonly asked: readonly Asked[];
  readonly #run: Run;
  readonly #program: Program;
  /** The checkpoint was made, and the session taken back to it. */
  #kept = false;
  #returned = false;
  /** Executions that it was told will end. */
  readonly #interrupted = new Set<string>();
  #sessionId: string | undefined;
  #detach: () => void = () => undefined;

  /** @param late what the last cell waits for */
  constructor(run: Run, program: Program, late: number) {
    this.#run = run;
    this.#program = program;
    const sources = [PREAMBLE, ...program.cells.map((cell, number) => sourceOf(cell, number)), lastCell(late)];
    this.asked = sources.map((source, index) => ({
      executionId: `exe_${index}`,
      source,
      rollback: program.cells[index - 1]?.rollback ?? false,
    }));
  }

  /** Resolves when all results are there, and answers them once more as they are told then. */
  async finish(): Promise<readonly ExecutionResult[]> {
    for (;;) {
      const daemon = await DoomedDaemon.start(this.#run);
      const work = this.#work(daemon);
      const again = await Promise.race([work, daemon.ended.then(() => undefined)]);
      // What fails in a daemon that has died is nobody's failure.
      if (daemon.dead) work.catch(() => undefined);
      else if (again !== undefined) {
        daemon.stop();
        return again;
      }
    }
  }

  async #work(daemon: DoomedDaemon): Promise<readonly ExecutionResult[]> {
    const session = await this.#open(daemon);
    // What it had been told of before, it has not reacted to in this daemon.
    for (const event of this.events) this.#react(daemon, event);
    this.#follow(daemon, session);
    daemon.onSleep = () => void this.#sleep(daemon);
    const { ahead } = this.#program;
    const [last, ...others] = [...this.asked].reverse();
    const before = others.reverse();
    if (ahead) await Promise.all(before.map((asked) => this.#execute(daemon, asked)));
    else
      for (const [index, asked] of before.entries()) {
        await this.#execute(daemon, asked);
        await this.#keepOrReturn(daemon, index - 1);
      }
    await this.#execute(daemon, last as Asked);
    daemon.onSleep = () => undefined;
    const found = (): Session => daemon.registry.find(session.sessionId, CALLER);
    return Promise.all(this.asked.map(({ executionId, source }) => found().execute(source, { executionId })));
  }

  /** What was not answered is asked for again: it comes to the same. */
  async #keepOrReturn(daemon: DoomedDaemon, cell: number): Promise<void> {
    const { checkpoint } = this.#program;
    const checkpoints = (): Session['checkpoints'] => daemon.registry.find(this.#sessionId ?? '', CALLER).checkpoints;
    if (cell === checkpoint?.madeAfter && !this.#kept) {
      await checkpoints().create('kept');
      this.#kept = !daemon.dead;
    }
    if (cell === checkpoint?.backAfter && !this.#returned) {
      await checkpoints().restore('kept');
      this.#returned = !daemon.dead;
    }
  }

  async #open(daemon: DoomedDaemon): Promise<Session> {
    const { registry } = daemon;
    if (this.#sessionId !== undefined) return registry.find(this.#sessionId, CALLER);
    const session = await registry.create(OWNER, {
      ...{ level: LEVEL, name: null, language: 'javascript', labels: {}, argv: null },
      asked: { limits: {}, capabilities: this.#program.live ? LIVE_GRANTS : GRANTS },
    });
    if (!daemon.dead) this.#sessionId = session.sessionId;
    return session;
  }

  async #execute(daemon: DoomedDaemon, { executionId, source, rollback }: Asked): Promise<void> {
    const session = daemon.registry.find(this.#sessionId ?? '', CALLER);
    const result = await session.execute(source, { executionId, rollback });
    if (daemon.dead) return;
    this.#run.story.push(`result ${executionId}`);
    this.results.set(executionId, result);
  }

  /** From the last event that it knows on. */
  #follow(daemon: DoomedDaemon, session: Session): void {
    const ending = new AbortController();
    const sink = {
      signal: ending.signal,
      role: 'client' as const,
      congested: false,
      send: (text: string) => {
        if (!daemon.dead && !ending.signal.aborted) this.#told(daemon, JSON.parse(text).params as SessionEvent);
      },
      onceDrained: (callback: () => void) => callback(),
      close: () => undefined,
    };
    session.events.subscribe(sink, this.events.at(-1)?.seq ?? 0).start();
    this.#detach = () => {
      session.events.unsubscribe(sink);
      ending.abort();
    };
  }

  /** It goes, its session is put to sleep where it has nothing to do, and it comes back. */
  async #sleep(daemon: DoomedDaemon): Promise<void> {
    if (daemon.dead || this.#sessionId === undefined) return;
    // It may be asleep already, or on its way there.
    daemon.onSleep = () => undefined;
    this.#detach();
    const slept = await daemon.registry.hibernate(daemon.registry.find(this.#sessionId, CALLER));
    this.#run.story.push(slept ? 'it sleeps' : 'it does not sleep');
    if (daemon.dead) return;
    this.#follow(daemon, daemon.registry.find(this.#sessionId, CALLER));
    daemon.onSleep = () => void this.#sleep(daemon);
  }

  #told(daemon: DoomedDaemon, event: SessionEvent): void {
    this.#run.story.push(`told ${event.seq} ${event.kind}${event.kind === 'output' ? ` ${event.text.trim()}` : ''}`);
    this.events.push(event);
    this.#react(daemon, event);
  }

  #react(daemon: DoomedDaemon, event: SessionEvent): void {
    if (event.kind === 'input.requested') this.#answer(daemon, event);
    else if (event.kind === 'output' && event.executionId !== null && /^hang /m.test(event.text))
      void this.#interrupt(daemon, event.executionId);
  }

  #answer(daemon: DoomedDaemon, { requestId, prompt }: Extract<SessionEvent, { kind: 'input.requested' }>): void {
    setImmediate(() => {
      if (daemon.dead) return;
      const session = daemon.registry.find(this.#sessionId ?? '', CALLER);
      // It may have been answered already.
      session.answerInput(requestId, `${prompt}!`).catch(() => undefined);
    });
  }

  /** Not before the isolate answers: a cell that is stopped while it computes tears its session. */
  async #interrupt(daemon: DoomedDaemon, executionId: string): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    const found = (): Session | undefined =>
      daemon.dead || this.results.has(executionId) || this.#interrupted.has(executionId)
        ? undefined
        : daemon.registry.find(this.#sessionId ?? '', CALLER);
    await found()
      ?.questions.listNames()
      .catch(() => undefined);
    const session = found();
    if (session?.interrupt(executionId) !== true) return;
    await session.committed();
    // From now on it need not be said again.
    if (!daemon.dead) this.#interrupted.add(executionId);
  }
}
