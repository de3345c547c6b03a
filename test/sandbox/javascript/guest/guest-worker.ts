/** The guest side assembled in a thread of its own, whose global object it takes over like that of an isolate. */
import { parentPort } from 'node:worker_threads';
import { boot } from '../../../../sandbox/javascript/guest/boot.ts';
import { computeForGuest } from '../../../../sandbox/javascript/host-computation.ts';
import { GUEST_MODULES } from '../../../../sandbox/javascript/prelude.ts';

const turn = setImmediate;
const sent: unknown[][] = [];
const enter = boot(
  GUEST_MODULES,
  (...message) => void sent.push(message),
  (operation, ...args) => computeForGuest(operation, args, { sourceOf: () => undefined, placeOf: () => undefined }),
);

/** An entry is a batch of operations, run one after another; what was sent by the end of the turn goes back with the answers. */
parentPort?.on('message', (entries: readonly Parameters<typeof enter>[]) => {
  const answers = entries.map((entry) => {
    try {
      return enter(...entry);
    } catch (error) {
      return `threw ${error}`;
    }
  });
  turn(() => parentPort?.postMessage({ answers, sent: sent.splice(0) }));
});
