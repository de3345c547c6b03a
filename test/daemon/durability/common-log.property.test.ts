/** Several daemons that write to one log at the same time, with answers that are lost, against what each of them was told. */
import test from 'ava';
import fc from 'fast-check';
import { CommonLog } from '../../../daemon/durability/common-log.ts';
import { FailingServer, type Failure } from './_failing-server.ts';

/** Longer than one entry of a log can be, by the kinds that are worth telling apart. */
const LENGTHS = { short: 1, long: 270_000 } as const;

/** Enough to tell a word by. */
const headOf = (word: string): string => word.slice(0, 10);

/** A daemon with what it knows of the log; a text of the log is a list of what was written, one by one or all at once. */
class Daemon {
  readonly log: CommonLog;
  known: string[] = [];

  constructor(server: FailingServer) {
    this.log = new CommonLog(server.parts, 'log');
  }

  async catchUp(): Promise<void> {
    const { anew, texts } = await this.log.read();
    if (anew) this.known = [];
    this.known.push(...texts.flatMap((text) => JSON.parse(text) as string[]));
  }

  /** Until it is known to be there, whatever the server does not answer. */
  async write(word: string): Promise<void> {
    while (!this.known.includes(word))
      try {
        if (await this.log.append(JSON.stringify([word]))) this.known.push(word);
        else await this.catchUp();
      } catch {
        // The next answer may come.
      }
  }

  async replace(): Promise<void> {
    await this.log.replaceAll([JSON.stringify(this.known), '[]']).catch(() => undefined);
  }
}

const action = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom<keyof typeof LENGTHS>('short', 'short', 'short', 'long') },
  { weight: 1, arbitrary: fc.constant('replace' as const) },
);
const failures = fc.array(fc.constantFrom<Failure | null>(null, null, null, null, 'before', 'after'), {
  maxLength: 40,
});

test('all who write to a log at once find the same in it, and each of their texts once', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(fc.array(action, { maxLength: 6 }), { minLength: 2, maxLength: 3 }),
      failures,
      async (scheduler, programs, planned) => {
        const pass = scheduler.scheduleFunction(async () => undefined);
        const server = new FailingServer(async () => void (await pass()));
        server.planned.push(...planned);
        const daemons = programs.map(() => new Daemon(server));
        const wordOf = (writer: number, at: number, length: keyof typeof LENGTHS) =>
          `${writer} ${at} ${'x'.repeat(LENGTHS[length])}`;
        const run = async (daemon: Daemon, writer: number): Promise<void> => {
          for (const [at, act] of (programs[writer] ?? []).entries())
            if (act === 'replace') await daemon.replace();
            else await daemon.write(wordOf(writer, at, act));
        };
        await scheduler.waitFor(Promise.all(daemons.map(run)));
        server.planned.length = 0;
        const reader = new Daemon(server);
        await scheduler.waitFor(Promise.all([...daemons, reader].map((daemon) => daemon.catchUp())));
        for (const { known } of daemons) t.deepEqual(known.map(headOf), reader.known.map(headOf));
        for (const [writer, program] of programs.entries()) {
          const written = program.flatMap((act, at) => (act === 'replace' ? [] : [wordOf(writer, at, act)]));
          const found = reader.known.filter((word) => word.startsWith(`${writer} `));
          t.deepEqual(found.map(headOf), written.map(headOf));
          t.true(found.every((word, at) => word === written[at]));
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('a log that was replaced is read from where it begins anew, and what came before is not', async (t) => {
  const server = new FailingServer();
  const [one, two] = [new Daemon(server), new Daemon(server)];
  for (let i = 0; i < 200; i++) await one.write(`${i}`);
  t.is(one.log.length, 200);
  await one.replace();
  t.is(one.log.length, 2);
  server.requests = 0;
  await two.catchUp();
  t.deepEqual(two.known, one.known);
  t.true(server.requests < 40, 'far fewer than there were entries');
});
