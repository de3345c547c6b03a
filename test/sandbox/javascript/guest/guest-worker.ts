/** The guest side assembled in a thread of its own, whose global object it takes over like that of an isolate. */
import { parentPort } from 'node:worker_threads';
import { installAbort } from '../../../../sandbox/javascript/guest/abort.ts';
import { installBase64 } from '../../../../sandbox/javascript/guest/base64.ts';
import { boot } from '../../../../sandbox/javascript/guest/boot.ts';
import { makeCapabilityCalls } from '../../../../sandbox/javascript/guest/capability-calls.ts';
import { installClock } from '../../../../sandbox/javascript/guest/clock.ts';
import { makeConsole } from '../../../../sandbox/javascript/guest/console.ts';
import { makeDescribeError } from '../../../../sandbox/javascript/guest/describe-error.ts';
import { makeDisplay } from '../../../../sandbox/javascript/guest/display.ts';
import { installDomException } from '../../../../sandbox/javascript/guest/dom-exception.ts';
import { installEncoding } from '../../../../sandbox/javascript/guest/encoding.ts';
import { installEvents } from '../../../../sandbox/javascript/guest/events.ts';
import { makeGenerator } from '../../../../sandbox/javascript/guest/generator.ts';
import { makeInspect } from '../../../../sandbox/javascript/guest/inspect.ts';
import { makeJsonValue } from '../../../../sandbox/javascript/guest/json-value.ts';
import { makeMarshal } from '../../../../sandbox/javascript/guest/marshal.ts';
import { makeNamespace } from '../../../../sandbox/javascript/guest/namespace.ts';
import { makeOutput } from '../../../../sandbox/javascript/guest/output.ts';
import { installPlatform } from '../../../../sandbox/javascript/guest/platform.ts';
import { makeQuestions } from '../../../../sandbox/javascript/guest/questions.ts';
import { installRandom } from '../../../../sandbox/javascript/guest/random.ts';
import { makeRunner } from '../../../../sandbox/javascript/guest/runner.ts';
import { installStructuredClone } from '../../../../sandbox/javascript/guest/structured-clone.ts';
import { installTimers } from '../../../../sandbox/javascript/guest/timers.ts';
import { installUrl } from '../../../../sandbox/javascript/guest/url.ts';
import { computeForGuest } from '../../../../sandbox/javascript/host-computation.ts';

const turn = setImmediate;
const sent: unknown[][] = [];
const enter = boot(
  {
    installAbort,
    installBase64,
    installClock,
    installDomException,
    installEncoding,
    installEvents,
    installPlatform,
    installRandom,
    installStructuredClone,
    installTimers,
    installUrl,
    makeCapabilityCalls,
    makeConsole,
    makeDescribeError,
    makeDisplay,
    makeGenerator,
    makeInspect,
    makeJsonValue,
    makeMarshal,
    makeNamespace,
    makeOutput,
    makeQuestions,
    makeRunner,
  },
  (...message) => void sent.push(message),
  (operation, ...args) => computeForGuest(operation, args, () => undefined),
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
