/**
 * What does it cost to share sessions with other daemons, and how soon do they go on with those of one that ends?
 *
 * Two daemons of a group, on a Resonate server over HTTP on loopback that runs in the bench's own process and keeps everything in
 * memory. `1+1` and a change of a key, which are on the server before they are answered, beside the same in a daemon that is alone;
 * and how long after the end of one daemon, in good order, the other answers from its session. Does not measure: a server with a disk
 * or a network between, the lease that passes before a daemon that was killed is given up.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ResonateServer } from '../test/harness/resonate-server.ts';
import { type BenchDaemon, startDaemon } from './bench-daemon.ts';
import { type Question, time, timingRow } from './measure.ts';

const PERSISTED_MS = 50;
const HANDED_OVER_MS = 1000;
const LOOK_MS = 5;

export const group: Question = {
  name: 'group',
  async run(size) {
    const [samples, ends] = size === 'full' ? [1000, 10] : [5, 1];
    await using server = await ResonateServer.start();
    const member = (name: string): Promise<BenchDaemon> =>
      startDaemon(['--resonate', server.url, '--group', 'bench', '--name', name]);
    await using alone = await startDaemon();
    await using stays = await member('stays');
    const shared = { cells: [] as number[], changes: [] as number[] };
    const single = { cells: [] as number[], changes: [] as number[] };
    const there = await stays.client.open({ level: 'standard' });
    const here = await alone.client.open({ level: 'standard' });
    for (let round = 0; round < 2; round++)
      for (const [kind, source] of [
        ['cells', '1+1'],
        ['changes', 'kv.set("k", 1)'],
      ] as const) {
        const ofShared = await time(samples, () => stays.client.run(there, source));
        const ofSingle = await time(samples, () => alone.client.run(here, source));
        // The first round warms both up.
        if (round > 0) shared[kind].push(...ofShared);
        if (round > 0) single[kind].push(...ofSingle);
      }
    const handedOver: number[] = [];
    for (let end = 0; end < ends; end++) handedOver.push(await handOver(await member(`goes-${end}`), stays));
    return [
      timingRow('1+1, on a Resonate server before it is answered', shared.cells, null, PERSISTED_MS),
      timingRow('the same in a daemon that is alone', single.cells, null, null),
      timingRow('kv.set, on a Resonate server before it is answered', shared.changes, null, null),
      timingRow('the same in a daemon that is alone', single.changes, null, null),
      timingRow('from the end of one daemon to an answer of the other', handedOver, null, HANDED_OVER_MS),
    ];
  },
};

/** Milliseconds from when a daemon is told to end until the other answers from its session. */
async function handOver(goes: BenchDaemon, stays: BenchDaemon): Promise<number> {
  const sessionId = await goes.client.open();
  await goes.client.run(sessionId, 'let n = 1');
  const startedMs = performance.now();
  const ended = goes[Symbol.asyncDispose]();
  for (;;) {
    try {
      await stays.client.call('session.attach', { sessionId });
      break;
    } catch {
      await sleep(LOOK_MS);
    }
  }
  await stays.client.run(sessionId, 'n');
  const tookMs = performance.now() - startedMs;
  await ended;
  return tookMs;
}
