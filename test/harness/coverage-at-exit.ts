/**
 * Required by every test process. Node writes down which lines ran at its very end, when isolated-vm is gone from the process already,
 * which aborts it now and then: so that is done a moment earlier. At its
 * end Node then says that it found no coverage to write, which is as it should be.
 */
import { stopCoverage, takeCoverage } from 'node:v8';

process.on('exit', () => {
  takeCoverage();
  stopCoverage();
});
