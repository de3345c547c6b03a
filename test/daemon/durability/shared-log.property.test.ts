/** Random writers of one log, with answers that are lost, against what each of them was told. */
import test from 'ava';
import fc from 'fast-check';
import { SharedLog } from '../../../daemon/durability/shared-log.ts';
import { FailingServer, type Failure } from './_failing-server.ts';

/** What a log holds once it is read: an entry is a list of what was appended, one by one or all at once. */
const contents = (texts: readonly string[]): string[] => texts.flatMap((text) => JSON.parse(text) as string[]);

const writer = fc.integer({ min: 0, max: 2 });
const failures = fc.array(fc.constantFrom<Failure | null>(null, null, null, 'before', 'after'), { maxLength: 6 });
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ act: fc.constant('append' as const), writer, failures }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('replace' as const), writer, failures }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('take' as const), writer, failures }) },
);

test('what was acknowledged is read in its order by whoever takes the log over, and only the last who did so writes', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const { parts, planned } = new FailingServer();
      const logs: (SharedLog | undefined)[] = [new SharedLog(parts, 'log')];
      let owner = 0;
      /** Written for certain, and what the owner has appended since without being told that it is there. */
      let written: string[] = [];
      let unsure: string[] = [];
      for (const [number, { act, writer: by, failures: next }] of steps.entries()) {
        planned.splice(0, planned.length, ...next);
        if (act === 'take') {
          const taken = await SharedLog.takeOver(parts, 'log').catch(() => undefined);
          // What was cut off may have taken the log from its owner all the same.
          planned.length = 0;
          const found = taken ?? (await SharedLog.takeOver(parts, 'log'));
          if (found === null) {
            t.deepEqual(written, []);
            continue;
          }
          const read = contents(found.texts);
          t.deepEqual(read.slice(0, written.length), written);
          t.deepEqual(read.slice(written.length), unsure.slice(0, read.length - written.length));
          logs[by] = found.log;
          owner = by;
          written = read;
          unsure = [];
          continue;
        }
        const log = logs[by];
        if (log === undefined) continue;
        const text = `${number}`;
        if (act === 'append') log.append(JSON.stringify([text]));
        else log.replaceAll([...written, ...unsure, text].map((one) => JSON.stringify([one])));
        if (by === owner) unsure.push(text);
        const isTold = await log.flush().then(
          () => !log.lost,
          () => false,
        );
        if (by !== owner) t.false(isTold, 'a writer whose log was taken over is told nothing');
        else if (isTold) {
          written.push(...unsure);
          unsure = [];
        }
      }
    }),
    { numRuns: 500 },
  );
});

test('a text of many pieces is read entire, and one that was begun and not ended not at all', async (t) => {
  const { parts, planned } = new FailingServer();
  const log = new SharedLog(parts, 'log');
  const long = `"${'é'.repeat(700_000)}"`;
  log.append('"first"');
  log.append(long);
  await log.flush();
  log.append(long);
  planned.push(null, 'before');
  await t.throwsAsync(log.flush());
  const taken = await SharedLog.takeOver(parts, 'log');
  t.deepEqual(taken?.texts, ['"first"', long]);
  taken?.log.append('"last"');
  await taken?.log.flush();
  t.deepEqual((await SharedLog.takeOver(parts, 'log'))?.texts, ['"first"', long, '"last"']);
  await log.flush();
  t.true(log.lost);
});

test('there is nothing to take over of a log that nobody began', async (t) => {
  t.is(await SharedLog.takeOver(new FailingServer().parts, 'none'), null);
});
