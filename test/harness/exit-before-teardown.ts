/**
 * Required by every test process. At the end of one that has nothing left to do, Node tears down its environment, where isolated-vm is
 * gone before V8's last tasks have run: a collection of garbage among them aborts the process now and then. And process.exit() waits for
 * threads of isolates that may wait for it. So what is to be written down is, and then another program takes the place of this one.
 */
import { flushCompileCache } from 'node:module';
import { stopCoverage, takeCoverage } from 'node:v8';
import { registerCompletionHandler } from 'ava';

function leave(status: number): void {
  takeCoverage();
  stopCoverage();
  flushCompileCache();
  process.execve?.('/bin/sh', ['sh', '-c', `exit ${status}`]);
}

// After all others that listen, which may be those of a test that end what it has started.
registerCompletionHandler(() => process.once('beforeExit', () => process.on('exit', leave)));
