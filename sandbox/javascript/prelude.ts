/**
 * The text that makes a bare isolate a session: the guest modules, each taken by its function's own text, and `boot`, which
 * assembles them inside the isolate.
 */
import { installAbort } from './guest/abort.ts';
import { installBase64 } from './guest/base64.ts';
import { boot } from './guest/boot.ts';
import { makeCapabilityCalls } from './guest/capability-calls.ts';
import { installClock } from './guest/clock.ts';
import { makeConsole } from './guest/console.ts';
import { makeDescribeError } from './guest/describe-error.ts';
import { makeDisplay } from './guest/display.ts';
import { installDomException } from './guest/dom-exception.ts';
import { installEncoding } from './guest/encoding.ts';
import { installEvents } from './guest/events.ts';
import { makeGenerator } from './guest/generator.ts';
import { makeInspect } from './guest/inspect.ts';
import { makeJsonValue } from './guest/json-value.ts';
import { makeMarshal } from './guest/marshal.ts';
import { makeNamespace } from './guest/namespace.ts';
import { makeOutput } from './guest/output.ts';
import { installPlatform } from './guest/platform.ts';
import { makeQuestions } from './guest/questions.ts';
import { installRandom } from './guest/random.ts';
import { makeRunner } from './guest/runner.ts';
import { installStructuredClone } from './guest/structured-clone.ts';
import { installTimers } from './guest/timers.ts';
import { installUrl } from './guest/url.ts';

/** What `boot` assembles. */
export const GUEST_MODULES = {
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
};

/**
 * Source of an expression: a function `(send, compute) => enter`. The parentheses around each module make V8 compile it at once,
 * so that the code cache of the first isolate holds it for the next ones.
 */
export const PRELUDE = `((send, compute) => { 'use strict'; return (${boot})({ ${Object.entries(GUEST_MODULES)
  .map(([name, module]) => `${name}: (${module})`)
  .join(',\n')} }, send, compute); })`;
