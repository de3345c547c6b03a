/**
 * Writes to a durable store as fast as it takes it, two rows a commit, and says what was committed and what is refused; until its
 * standard input ends. For tests that kill it, or take its disk away.
 */
import { DurableStore } from '../../../daemon/durability/durable-store.ts';

const [file = ''] = process.argv.slice(2);
const say = (line: string): unknown => process.stdout.write(`${line}\n`);
const store = DurableStore.open({
  file,
  log: (line) => {
    say(`log ${line}`);
    setImmediate(sayWhetherNewWorkIsRefused);
  },
});
const insert = store.prepare('INSERT INTO log (number, session, previous, row) VALUES (?, 1, 0, ?)');
const latest = store.prepare('SELECT max(number) AS number FROM log').get() as { number: number | null };
let cell = latest.number ?? 0;

function sayWhetherNewWorkIsRefused(): void {
  try {
    store.assertWritable();
  } catch (error) {
    say(`refused ${(error as Error).message}`);
  }
}

function next(): void {
  const number = ++cell;
  // Two rows of one commit: there are both of them or none.
  store.write(() => void insert.run(number, 'x'.repeat(1000)));
  store.write(() => void insert.run(-number, ''));
  store.whenCommitted(() => {
    say(`committed ${number}`);
    setImmediate(next);
  });
}

process.stdin.resume().on('end', () => {
  store.close();
  process.exit();
});
next();
