/**
 * How long until a session that sleeps answers again, from its image, and how long where it has none?
 *
 * The session has computed for a second or two. `bare`: the same session with something of which there is no image (an open file, a
 * closure), so that its cells are run again. `going to sleep` is the way there, as an image. Does not measure: a daemon that starts,
 * other sessions of the host.
 */
import { type BenchClient, startDaemon } from './bench-daemon.ts';
import { type Question, type Row, time, timingRow } from './measure.ts';
import { withSnapshot } from './snapshot-cache.ts';

interface Life {
  readonly language: 'javascript' | 'python';
  readonly work: string;
  readonly noImage: string;
  readonly question: string;
}

const LIVES: readonly (readonly [name: string, life: Life])[] = [
  [
    'JavaScript',
    {
      language: 'javascript',
      work: 'const kept = Array.from({ length: 10_000 }, (_, n) => ({ n, text: "text " + n })); let sum = 0; for (let i = 0; i < 4e8; i++) sum = (sum + i) % 1000; sum',
      noImage: 'const count = (() => { let n = 0; return () => ++n })(); 0',
      question: 'kept.length',
    },
  ],
  [
    'Python',
    {
      language: 'python',
      work: 'import json, random\nkept = [random.random() for _ in range(100_000)]\nsum(i * i for i in range(10_000_000))',
      noImage: 'f = open("/tmp/open", "w"); 0',
      question: 'len(kept)',
    },
  ],
];

export const wake: Question = {
  name: 'wake',
  async run(size) {
    await using daemon = await startDaemon(await withSnapshot());
    const rows: Row[] = [];
    for (const [name, life] of LIVES) rows.push(...(await rowsOf(daemon.client, name, life, size === 'full' ? 8 : 1)));
    return rows;
  },
};

async function rowsOf(client: BenchClient, name: string, life: Life, samples: number): Promise<Row[]> {
  const imaged = await worked(client, life);
  const replayed = await worked(client, life);
  await client.run(replayed, life.noImage);
  const [fromImage, again, sleep]: [number[], number[], number[]] = [[], [], []];
  for (let sampled = 0; sampled < samples; sampled++) {
    await client.run(imaged, life.work);
    sleep.push(await hibernate(client, imaged));
    fromImage.push(await firstAnswer(client, imaged, life));
    await hibernate(client, replayed);
    again.push(await firstAnswer(client, replayed, life));
  }
  return [
    timingRow(`a ${name} session wakes from its image`, fromImage, again, null),
    timingRow(`a ${name} session goes to sleep as an image`, sleep, null, null),
  ];
}

async function worked(client: BenchClient, { language, work }: Life): Promise<string> {
  const sessionId = await client.open({ language, level: 'standard' });
  await client.run(sessionId, work);
  return sessionId;
}

async function hibernate(client: BenchClient, sessionId: string): Promise<number> {
  const [tookMs = Number.NaN] = await time(1, async () => {
    while (!(await client.call('session.hibernate', { sessionId })).hibernated);
  });
  return tookMs;
}

async function firstAnswer(client: BenchClient, sessionId: string, { question }: Life): Promise<number> {
  const [tookMs = Number.NaN] = await time(1, () => client.run(sessionId, question));
  return tookMs;
}
