/** Plays a program over the crashes that are planned for it, and holds what came of it against what must come of it. */
import { isDeepStrictEqual } from 'node:util';
import type { ExecutionResult } from '../../../client/protocol.ts';
import { type Disturbances, type Lab, type Planned, Run } from './_doomed-daemon.ts';
import { type Expected, expect, type Program } from './_random-program.ts';
import { StubbornClient } from './_stubborn-client.ts';

/** After this a program is stuck. */
const STUCK_MS = 60_000;

/** What the cell has printed itself. */
const ownLines = (text: string): string[] => text.split('\n').filter((line) => line !== '' && line !== 'late');
const unordered = (line: string): string =>
  line.startsWith('order ') ? `order ${line.slice(6).split(',').map(nameOnly).sort().join()}` : line;
const nameOnly = (each: string): string => (each.startsWith('drawn ') ? 'drawn' : each);

class Mismatch extends Error {}

function same(what: string, found: unknown, wanted: unknown): void {
  if (!isDeepStrictEqual(found, wanted))
    throw new Mismatch(`${what}: is ${JSON.stringify(found)}, must be ${JSON.stringify(wanted)}`);
}

const jsonOf = ({ value }: ExecutionResult): unknown => (value?.kind === 'json' ? value.json : undefined);

function check(client: StubbornClient, run: Run, again: readonly ExecutionResult[], wanted: Expected): void {
  const { events } = client;
  same(
    'numbers of events',
    events.map(({ seq }) => seq),
    events.map((_, index) => index + 1),
  );
  same(
    'results told again',
    again,
    client.asked.map(({ executionId }) => client.results.get(executionId)),
  );
  same(
    'numbers of cells',
    again.map(({ cell }) => cell),
    again.map((_, index) => index + 1),
  );
  for (const [index, cell] of wanted.cells.entries()) {
    const result = again[index + 1] as ExecutionResult;
    const { status, output, executionId } = result;
    const found = { status, value: jsonOf(result), printed: ownLines(output.stdout).map(unordered) };
    same(`cell ${index}`, found, { ...cell, printed: cell.printed.map(unordered) });
    const told = events.filter((event) => event.kind === 'output' && event.executionId === executionId);
    same(`output of cell ${index}`, told.map((event) => ('text' in event ? event.text : '')).join(''), output.stdout);
    for (const kind of ['execution.started', 'execution.finished'])
      same(
        `${kind} of cell ${index}`,
        events.filter((each) => each.kind === kind && 'executionId' in each && each.executionId === executionId).length,
        1,
      );
  }
  const [a, b, c, late, order] = (jsonOf(again.at(-1) as ExecutionResult) ?? []) as [...number[], string[]] & unknown[];
  same('variables', [a, b, c], wanted.variables);
  same('what was left behind', late, wanted.late);
  same('order', (order as string[]).map(nameOnly).sort(), [...wanted.order].sort());
  for (const [name, { kind, atLeast }] of wanted.effects) {
    const times = run.timesDone(name);
    if (times < atLeast || (kind === 'strike' && times > 1)) throw new Mismatch(`${name} was done ${times} times`);
  }
  const unknown = run.done.filter((name) => !wanted.effects.has(name));
  same('effects that nobody asked for', unknown, []);
}

/**
 * Fails with what is wrong, the program and what happened.
 *
 * @returns what was planned and did not come
 */
export async function play(lab: Lab, made: Program, disturbed: Disturbances): Promise<readonly Planned[]> {
  const wanted = expect(made);
  const run = new Run(lab, disturbed);
  const client = new StubbornClient(run, made, wanted.late);
  const { promise: stuck, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Mismatch('it is stuck')), STUCK_MS);
  try {
    check(client, run, await Promise.race([client.finish(), stuck]), wanted);
    return run.left;
  } catch (error) {
    run.daemon.stop();
    const story = run.story.slice(-200).join('\n');
    throw new Error(
      `${(error as Error).stack}\n${client.asked.map(({ source, rollback }) => `${rollback ? '(rollback) ' : ''}${source}`).join('\n---\n')}\n\n${story}`,
    );
  } finally {
    clearTimeout(timer);
  }
}
