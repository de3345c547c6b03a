import test from 'ava';
import { Executions } from '../../../daemon/session/executions.ts';

/** Executions on a clock of our own; `looks` says for how many rounds the daemon stays awake, 0.5 ms each. */
function watched() {
  let nowMs = 0;
  const pending: (() => void)[] = [];
  const executions = new Executions(
    () => nowMs,
    (look) => void pending.push(look),
  );
  return {
    executions,
    pass: (ms: number): void => {
      nowMs += ms;
    },
    /** Two more than any cell is given. */
    looks: (): number => {
      let looks = 0;
      for (; pending.length > 0 && looks < 6; looks++) {
        nowMs += 0.5;
        pending.shift()?.();
      }
      return looks;
    },
    short: (): void => {
      const execution = {};
      executions.began(execution);
      executions.ended(execution);
      pending.length = 0;
    },
  };
}

test('the daemon stays awake for a cell that follows a short one, until it ends', (t) => {
  const { executions, looks, short } = watched();
  short();
  const execution = {};
  executions.began(execution);
  executions.ended(execution);
  t.is(looks(), 1, 'one look finds that it has ended');
  t.is(executions.count, 2);
});

test('it stays awake for two milliseconds, and not for what follows a long one', (t) => {
  const { executions, looks, short } = watched();
  short();
  const long = {};
  executions.began(long);
  t.is(looks(), 4);
  executions.ended(long);
  executions.began({});
  t.is(looks(), 0);
});

test('it does not for several at once, however many that have become long are under way', (t) => {
  const { executions, pass, looks, short } = watched();
  executions.began({});
  pass(3);
  short();
  executions.began({});
  t.is(looks(), 4, 'the one before it is a long one');
  short();
  executions.began({});
  executions.began({});
  t.is(looks(), 1);
});
