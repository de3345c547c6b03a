/** Runs in an isolate, under a timeout, code that no timeout ends, and says what the isolate says of itself. */
import { writeSync } from 'node:fs';
import { Isolate } from '../../sandbox/isolate.ts';

const isolate = new Isolate(32, `() => () => Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)`);
isolate.listen({
  message: () => undefined,
  compute: () => null,
  catastrophe(by, message) {
    writeSync(1, `${by}: ${message}\n`);
    // Nothing else ends a process with such an isolate in it.
    process.kill(process.pid, 'SIGKILL');
  },
});
void isolate.enter(1, []);
