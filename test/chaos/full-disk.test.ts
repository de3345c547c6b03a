import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { ExecutionResult } from '../../client/protocol.ts';
import { DaemonProcess, type RawClient, RpcFault } from '../harness/daemon-process.ts';
import { until } from '../harness/processes.ts';
import { diskTest, SmallDisk } from '../harness/small-disk.ts';
import { CountedEffects } from './_effects.ts';
import { jsonOf } from './_survivor.ts';

const TOKEN = 'full-disk-token-of-the-tests-0123456789';
const RECORDING = /cannot be recorded .* disk of the state directory|The audit log is not safe: it cannot be written/;

/** A daemon on a disk that fills up, and a client that keeps what it was told. */
class Crowded {
  readonly #t: ExecutionContext;
  readonly disk: SmallDisk;
  readonly effects: CountedEffects;
  daemon!: DaemonProcess;
  client!: RawClient;
  sessionId = '';
  /** By executionId: of every execution that was acknowledged. */
  readonly results = new Map<string, ExecutionResult>();
  readonly sources = new Map<string, string>();
  readonly refusals: RpcFault[] = [];

  private constructor(t: ExecutionContext, disk: SmallDisk) {
    this.#t = t;
    this.disk = disk;
    this.effects = new CountedEffects(t);
  }

  static async start(t: ExecutionContext): Promise<Crowded> {
    t.timeout(150_000);
    const crowded = new Crowded(t, await SmallDisk.mount(t, '8m'));
    await crowded.boot();
    crowded.sessionId = (await crowded.client.call('session.create', { level: 'trusted' })).sessionId;
    return crowded;
  }

  async boot(): Promise<void> {
    const { disk, effects } = this;
    const args = ['--client-ceiling', 'unrestricted', ...effects.args];
    this.daemon = await DaemonProcess.start(this.#t, { stateDir: disk.folder, args, place: disk });
    this.client = await this.daemon.connect();
    await this.client.call('daemon.hello', { token: TOKEN });
    if (this.sessionId !== '') await this.client.call('session.attach', { sessionId: this.sessionId });
  }

  async execute(executionId: string, source: string): Promise<ExecutionResult> {
    this.sources.set(executionId, source);
    const { client, sessionId } = this;
    const result = await client.call('session.execute', { sessionId, executionId, source });
    this.results.set(executionId, result);
    return result;
  }

  /** Ends the daemon where it is, and leaves no more room than it had. */
  async crash(): Promise<void> {
    await this.daemon.stop('SIGKILL');
    this.disk.fill();
  }

  /** Sends cells, and waits for none of them, until one is refused. */
  async executeUntilRefused(prefix: string, source: string): Promise<void> {
    const before = this.refusals.length;
    for (let index = 0; this.refusals.length === before; index++) {
      const executionId = `${prefix}_${index}`;
      this.execute(executionId, source).catch((error) => {
        this.sources.delete(executionId);
        if (error instanceof RpcFault) this.refusals.push(error);
      });
      await this.client.call('session.list', {});
    }
  }

  /** Asks for the result of everything that was accepted, as a client does that was not answered; until there is room again. */
  async settle(): Promise<void> {
    for (const [executionId, source] of this.sources)
      await until(async () => {
        try {
          await this.execute(executionId, source);
          return true;
        } catch (error) {
          if (error instanceof RpcFault && error.code === 'UNAVAILABLE') return false;
          throw error;
        }
      });
  }
}

const INCREMENT = 'n += 1; n';
/** Executions that say that they have counted. One that could not be put on record has not run, and says so. */
const counted = ({ results }: Crowded): number =>
  [...results.values()].filter((result) => result.status === 'ok' && typeof jsonOf(result) === 'number').length;

diskTest('a disk that fills up refuses what is new, and gives everything again that was told before', async (t) => {
  const crowded = await Crowded.start(t);
  await crowded.execute('declared', 'let n = 0; let outcome; n');
  const first = await crowded.execute('first', INCREMENT);
  const waiting = crowded.execute(
    'asks',
    'await input("go?"); try { await strike("x"); outcome = 1 } catch (e) { outcome = e.code }',
  );
  const asked = await crowded.client.event(({ kind }) => kind === 'input.requested');
  crowded.disk.fill();
  const { sessionId, client } = crowded;
  const { requestId } = asked as unknown as { requestId: string };
  const answered = client.call('input.answer', { sessionId, requestId, text: 'go' });
  await crowded.executeUntilRefused('full', INCREMENT);
  for (const { code, message } of crowded.refusals) {
    t.is(code, 'UNAVAILABLE');
    t.regex(message, RECORDING);
  }
  t.regex(crowded.daemon.stderr, /sessions cannot be recorded: |audit log: it cannot be written/);
  t.deepEqual(await client.call('session.execute', { sessionId, executionId: 'first', source: INCREMENT }), first);
  t.true(crowded.daemon.running);

  crowded.disk.makeRoom();
  await answered;
  t.like(await waiting, { status: 'ok' });
  await crowded.settle();
  t.regex(crowded.daemon.stderr, /sessions are recorded again; nothing was lost/);
  const n = (await crowded.execute('after', INCREMENT)) as ExecutionResult;
  t.is(jsonOf(n), counted(crowded) - 1, 'every increment that was told has happened, and no other');
  const outcome = jsonOf(await crowded.execute('outcome', 'outcome'));
  t.true(outcome === 'UNAVAILABLE' || outcome === 1, String(outcome));
  t.deepEqual(crowded.effects.done, outcome === 1 ? ['x'] : []);
});

diskTest('a session that sleeps is not lost where it cannot be woken on a full disk', async (t) => {
  const crowded = await Crowded.start(t);
  const { client } = crowded;
  const { sessionId } = await client.call('session.create', { level: 'trusted' });
  const run = (source: string) => client.call('session.execute', { sessionId, source });
  await run('let kept = 7');
  await client.call('session.detach', { sessionId });
  t.deepEqual(await client.call('session.hibernate', { sessionId }), { hibernated: true });
  crowded.disk.fill();
  const attach = () => client.call('session.attach', { sessionId }).catch((error: RpcFault) => error.code);
  const found = [await attach()];
  await crowded.executeUntilRefused('full', INCREMENT);
  found.push(await attach());
  t.deepEqual(
    found.filter((each) => typeof each === 'string' && each !== 'UNAVAILABLE'),
    [],
  );
  crowded.disk.makeRoom();
  await until(() => crowded.daemon.stderr.includes('sessions are recorded again'));
  t.is(jsonOf(await run('kept')), 7);
});

diskTest(
  'a daemon that is killed on a full disk has everything when it is started again, on a full disk too',
  async (t) => {
    const crowded = await Crowded.start(t);
    await crowded.execute('declared', 'let n = 0; let text = "kept"; n');
    for (let index = 0; index < 5; index++) await crowded.execute(`early_${index}`, INCREMENT);
    crowded.disk.fill();
    await crowded.executeUntilRefused('full', INCREMENT);
    const told = new Map(crowded.results);
    await crowded.crash();
    // Where what it needs at once is there already, it starts; where not, it says what is missing.
    const failure = await crowded.boot().catch((error: Error) => error);
    if (failure instanceof Error) assertRefusesToStart(t, failure);
    else {
      await assertTold(t, crowded, told);
      await crowded.executeUntilRefused('again', INCREMENT);
      await crowded.crash();
    }
    crowded.disk.makeRoom();
    await crowded.boot();
    await assertTold(t, crowded, told);
    await crowded.settle();
    t.is(jsonOf(await crowded.execute('after', INCREMENT)), counted(crowded) - 1);
    t.is(jsonOf(await crowded.execute('text', 'text')), 'kept');
  },
);

const PAGE = 4096;
diskTest('a daemon that is started with too little room says what is wrong, and can be started later', async (t) => {
  t.timeout(150_000);
  const disk = await SmallDisk.mount(t, '2m');
  const stateDir = join(disk.folder, 'state');
  const start = () => DaemonProcess.start(t, { stateDir, place: disk });
  let refused = 0;
  // What it makes at its start is larger from one to the next, so that each is the first that there is no room for.
  for (const pages of [0, 1, 2, 3, 5, 8, 12, 20, 32, 50]) {
    disk.fill(pages * PAGE);
    const started = await start().catch((error: Error) => error);
    if (started instanceof Error) {
      refused += 1;
      assertRefusesToStart(t, started);
    } else await started.stop();
  }
  t.true(refused >= 3, `${refused} were refused`);
  disk.makeRoom();
  const daemon = await start();
  const client = await daemon.connect();
  t.like(await client.call('session.create', {}), { state: 'idle' });
});

/** With a sentence for the administrator, and no stack: it is not a bug. */
function assertRefusesToStart(t: ExecutionContext, { message }: Error): void {
  t.regex(
    message,
    /^the daemon ended with 1: (?:(?:audit log|sessions).*\n)*pyrepl3: .*(?:ENOSPC|disk is full|disk I\/O error)/,
  );
  t.notRegex(message, /^\s+at /m);
}

async function assertTold(t: ExecutionContext, crowded: Crowded, told: ReadonlyMap<string, ExecutionResult>) {
  const { sessionId, client, sources } = crowded;
  for (const [executionId, result] of told) {
    const source = sources.get(executionId) ?? '';
    t.deepEqual(await client.call('session.execute', { sessionId, executionId, source }), result);
  }
}
