/**
 * How long until a Python session that sleeps answers again, from its image, and how long where it has none?
 *
 * The session has computed for about a second. `bare`: the same session with a file open, of which there is no image, so that its cells
 * are run again. `going to sleep` is the way there, as an image. Does not measure: a daemon that starts, other sessions of the host.
 */
import { type BenchClient, startDaemon } from './bench-daemon.ts';
import { type Question, time, timingRow } from './measure.ts';
import { withSnapshot } from './snapshot-cache.ts';

const WORK =
  'import json, random\nkept = [random.random() for _ in range(100_000)]\nsum(i * i for i in range(10_000_000))';
const NO_IMAGE = 'f = open("/tmp/open", "w"); 0';

export const pythonWake: Question = {
  name: 'python-wake',
  async run(size) {
    const samples = size === 'full' ? 8 : 1;
    await using daemon = await startDaemon(await withSnapshot());
    const { client } = daemon;
    const imaged = await worked(client);
    const replayed = await worked(client);
    await client.run(replayed, NO_IMAGE);
    const [wake, again, sleep]: [number[], number[], number[]] = [[], [], []];
    for (let sampled = 0; sampled < samples; sampled++) {
      await client.run(imaged, WORK);
      sleep.push(await hibernate(client, imaged));
      wake.push(await firstAnswer(client, imaged));
      await hibernate(client, replayed);
      again.push(await firstAnswer(client, replayed));
    }
    return [
      timingRow('a Python session wakes from its image', wake, again, null),
      timingRow('a Python session goes to sleep as an image', sleep, null, null),
    ];
  },
};

async function worked(client: BenchClient): Promise<string> {
  const sessionId = await client.open({ language: 'python', level: 'standard' });
  await client.run(sessionId, WORK);
  return sessionId;
}

async function hibernate(client: BenchClient, sessionId: string): Promise<number> {
  const [tookMs = Number.NaN] = await time(1, async () => {
    while (!(await client.call('session.hibernate', { sessionId })).hibernated);
  });
  return tookMs;
}

async function firstAnswer(client: BenchClient, sessionId: string): Promise<number> {
  const [tookMs = Number.NaN] = await time(1, () => client.run(sessionId, 'len(kept)'));
  return tookMs;
}
