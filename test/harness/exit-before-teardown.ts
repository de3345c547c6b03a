/**
 * Required by every test process. One that has nothing left to do tears down its environment: isolated-vm is gone from it before V8's last
 * tasks and Node's coverage have run, and a collection of garbage among them aborts it now and then. One that exits does not.
 */
import { registerCompletionHandler } from 'ava';

registerCompletionHandler(() => process.once('beforeExit', () => process.exit()));
