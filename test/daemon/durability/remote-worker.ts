/**
 * A daemon's worth of durability in a process of its own, for tests that kill it. Told on its standard input, one JSON a line, and
 * answers on its standard output in the same way.
 */
import { createInterface } from 'node:readline';
import { systemClock } from '../../../daemon/clock.ts';
import type { Json } from '../../../daemon/durability/envelope.ts';
import { remote } from '../../../daemon/durability/resonate.ts';

const [url = '', group = '', pid = '', leaseMs = ''] = process.argv.slice(2);
const say = (fields: Record<string, unknown>): unknown => process.stdout.write(`${JSON.stringify(fields)}\n`);
const { promises, sessions, stop } = await remote({
  url,
  group,
  pid,
  leaseMs: Number(leaseMs),
  clock: systemClock,
  log: (line) => say({ event: 'log', line }),
});
sessions.onRecover(async ({ sessionId, fence, signal }) => {
  say({ event: 'recovered', sessionId, fence, atMs: Date.now() });
  signal.addEventListener('abort', () => say({ event: 'lost', sessionId, fence }));
  return 'open';
});

const ACTS: Readonly<Record<string, (key: string, value: Json) => unknown>> = {
  open: async (sessionId) => {
    const ownership = await sessions.open(sessionId);
    ownership?.signal.addEventListener('abort', () => say({ event: 'lost', sessionId, fence: ownership.fence }));
    return ownership?.fence ?? null;
  },
  close: (sessionId) => sessions.close(sessionId),
  create: (key, request) => promises.create(key, request, null),
  settle: (key, value) => promises.settle(key, value),
  watch: (key) => void promises.watch(key, (outcome) => say({ event: 'outcome', key, outcome })),
  stop: () => stop(),
};
say({ event: 'ready' });
for await (const line of createInterface({ input: process.stdin })) {
  const { number, act, key, value } = JSON.parse(line);
  const answer = await ACTS[act]?.(key, value ?? null);
  say({ event: 'answer', number, answer: answer ?? null });
}
