/** A session that mixes what a session can do, and the person on the other side of it, who outlives every daemon. */
import type { ExecutionContext } from 'ava';
import type { ApprovalInfo, ExecutionResult, SessionEvent } from '../../client/protocol.ts';
import type { RawClient } from '../harness/daemon-process.ts';
import type { CountedEffects } from './_effects.ts';
import { jsonOf, type Survivor } from './_survivor.ts';

export const CELLS: readonly string[] = [
  'let log = [], n = 0; const note = (x) => { log.push(x); print(JSON.stringify(x)); return x }; 0',
  'const both = await Promise.all([tally("a"), strike("b")]); note(both.length)',
  'const won = await Promise.race([tally("d").then(() => "tally"), sleep(600_000)]); note(won)',
  'await kv.set("k", 1); await kv.set("k", (await kv.get("k")) + 1); note(await kv.get("k"))',
  'const name = await input("name?"); note(name)',
  'note(await approve("go?") !== undefined)',
  'setTimeout(() => note("timer"), 20); await new Promise((done) => setTimeout(done, 40)); await sleep(10); note(n)',
  'await Promise.all([1, 2, 3].map(async (i) => { await tally("e" + i); n += i; await strike("f" + i) })); note(n)',
  'throw new Error("no " + n)',
  'const slow = strike("g"); print("while"); console.error("it"); await slow; await kv.set("end", n); note("end")',
  '[log, n, name, await kv.get("k"), await kv.get("end")]',
];

/** The names of all effects, each done by one call. */
export const EFFECTS = ['a', 'b', 'd', 'e1', 'e2', 'e3', 'f1', 'f2', 'f3', 'g'] as const;

/** What is the same in every run. */
export interface Run {
  readonly results: readonly unknown[];
  readonly printed: string;
  /** Those that may be done more than once are counted once. */
  readonly effects: readonly string[];
  readonly kinds: readonly string[];
}

const ONCE_ONLY: ReadonlySet<SessionEvent['kind']> = new Set([
  'execution.started',
  'execution.finished',
  'input.requested',
  'input.settled',
]);

/** Answers what the session asks, in every daemon, and says of a doubt what an administrator would find out. */
async function attend(session: Survivor, effects: CountedEffects, client: RawClient): Promise<void> {
  const admin = await session.daemon.connect('admin');
  const settle = async ({ approvalId, hash, kind, args }: ApprovalInfo): Promise<void> => {
    const known = kind === 'doubt' && effects.done.includes((args as string[])[0] ?? '');
    await admin
      .call('approval.settle', { approvalId, hash, decision: 'approve', ...(known ? { value: 1 } : {}) })
      .catch(() => undefined);
  };
  const inputs = async (): Promise<void> => {
    const answered = new Set<string>();
    for (;;) {
      const event = await client.event((each) => each.kind === 'input.requested' && !answered.has(each.requestId));
      if (event.kind !== 'input.requested') continue;
      answered.add(event.requestId);
      const { requestId } = event;
      await client
        .call('input.answer', { sessionId: session.sessionId, requestId, text: 'Ada' })
        .catch(() => undefined);
    }
  };
  void inputs();
  // One that an earlier daemon had told of is not told again.
  for (const event of session.events)
    if (event.kind === 'input.requested')
      void client
        .call('input.answer', { sessionId: session.sessionId, requestId: event.requestId, text: 'Ada' })
        .catch(() => undefined);
  for (let afterChange = 0; ; ) {
    const { change, approvals } = await admin.call('approval.list', { afterChange, waitMs: 60_000 });
    for (const approval of approvals) await settle(approval);
    afterChange = change;
  }
}

/** Runs all cells, starting the daemon again whenever it has died. */
export async function run(session: Survivor, effects: CountedEffects, handAhead = true): Promise<Run> {
  const attended = (): void => void attend(session, effects, session.client).catch(() => undefined);
  attended();
  const cells = handAhead ? CELLS.map((source) => session.begin(source)) : [];
  const results: ExecutionResult[] = [];
  for (const [index, source] of CELLS.entries()) {
    const cell = cells[index] ?? session.begin(source);
    results.push(
      await cell.result(async () => {
        await session.comeBack();
        attended();
      }),
    );
  }
  return {
    results: results.map((result) => [
      result.cell,
      result.status,
      result.status === 'ok' ? jsonOf(result) : result.error?.message,
      result.output,
      result.capabilityCalls,
    ]),
    printed: session.printed,
    effects: EFFECTS.flatMap((name) => {
      const times = effects.done.filter((each) => each === name).length;
      return isRepeatable(name) ? Array(Math.min(1, times)).fill(name) : Array(times).fill(name);
    }),
    kinds: session.told
      .filter(({ kind }) => ONCE_ONLY.has(kind))
      .map((event) => `${event.kind} ${'executionId' in event ? event.executionId : ''}`),
  };
}

const isRepeatable = (name: string): boolean => /^[ade]/.test(name);

export function assertSame(t: ExecutionContext, session: Survivor, one: Run, other: Run): void {
  t.deepEqual(one, other);
  t.true(session.gapless, 'events have no gap and none comes twice');
}
