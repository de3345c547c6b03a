// `npm test`: runs ava, prints what it reports as it comes, and ends with one line that counts the run:
// "N passed, N failed", and ", N skipped" when there were any. Arguments are passed on to ava. The exit status is 0
// only when ava itself ended well, something passed and nothing failed.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ava = fileURLToPath(new URL('../node_modules/ava/entrypoints/cli.js', import.meta.url));

/** Counts a TAP 13 stream line by line, as ava writes it: test lines, indented diagnostics, a summary at the end. */
class TapCount {
  passed = 0;
  failed = 0;
  skipped = 0;
  complete = false;
  #inFailure = false;

  /** Takes one line, and answers with what to show for it, or undefined. */
  take(line) {
    const test = /^(not )?ok \d+(?: - (.*?))?( # (?:skip|todo).*)?$/i.exec(line);
    if (test) return this.#takeTest(test[1] !== undefined, test[2] ?? '', test[3] !== undefined);
    const total = /^# fail (\d+)$/.exec(line);
    if (total) {
      // Tests that never finished have no line of their own, but ava counts them here.
      this.failed = Math.max(this.failed, Number(total[1]));
      this.complete = true;
    }
    if (this.#inFailure && /^\s/.test(line)) return line;
    // A comment that is not part of the summary is ava's remark on the tests around it.
    return /^# (?!tests |pass |skip |fail )/.test(line) ? line : undefined;
  }

  #takeTest(notOk, title, isSkipped) {
    this.#inFailure = notOk && !isSkipped;
    if (isSkipped) this.skipped++;
    else if (notOk) this.failed++;
    else this.passed++;
    return `${isSkipped ? 'skip' : notOk ? 'FAIL' : 'ok  '}  ${title}`;
  }
}

const count = new TapCount();
const root = fileURLToPath(new URL('..', import.meta.url));
const child = spawn(process.execPath, [ava, '--tap', ...process.argv.slice(2)], {
  cwd: root,
  // Hundreds of processes load the same modules: what Node made of their TypeScript is kept, as far as it has not changed.
  env: { NODE_COMPILE_CACHE: `${root}node_modules/.cache/compiled`, ...process.env },
  stdio: ['ignore', 'pipe', 'inherit'],
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
createInterface({ input: child.stdout }).on('line', (line) => {
  const shown = count.take(line);
  if (shown !== undefined) process.stdout.write(`${shown}\n`);
});
child.on('error', (error) => process.stderr.write(`cannot start ava: ${error.message}\n`));
child.on('close', (status, signal) => {
  const problem = problemOf(status, signal);
  if (problem) process.stderr.write(`${problem}\n`);
  // A run that broke off is a failure even when every test it reached had passed.
  if (problem && count.failed === 0) count.failed = 1;
  const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
  process.stdout.write(`\n${count.passed} passed, ${count.failed} failed${skipped}\n`);
  process.exitCode = count.failed > 0 ? 1 : 0;
});

function problemOf(status, signal) {
  if (signal) return `ava was ended by ${signal}`;
  if (!count.complete) return `ava ended with status ${status} before it had finished`;
  if (count.passed === 0) return 'no test passed';
  return status !== 0 && count.failed === 0 ? `ava ended with status ${status}` : undefined;
}
