/**
 * The text that makes a bare isolate a session: the guest modules, each taken by its function's own text, and `boot`, which
 * assembles them inside the isolate.
 */
import { installAbort } from './guest/abort.ts';
import { installBase64 } from './guest/base64.ts';
import { boot, type GuestModules } from './guest/boot.ts';
import { captureBuiltins } from './guest/builtins.ts';
import { makeCapabilityCalls } from './guest/capability-calls.ts';
import { installClock } from './guest/clock.ts';
import { makeConsole } from './guest/console.ts';
import { makeDescribeError } from './guest/describe-error.ts';
import { makeDisplay } from './guest/display.ts';
import { installDomException } from './guest/dom-exception.ts';
import { installEncoding } from './guest/encoding.ts';
import { installEvents } from './guest/events.ts';
import { makeGenerator } from './guest/generator.ts';
import { makeGrants } from './guest/grants.ts';
import { makeHelp } from './guest/help.ts';
import { makeContents } from './guest/image/contents.ts';
import { makeImages } from './guest/image/images.ts';
import { makeRestoreImage } from './guest/image/restore-image.ts';
import { makeSaveImage } from './guest/image/save-image.ts';
import { makeSurvey } from './guest/image/survey.ts';
import { makeInspect } from './guest/inspect.ts';
import { makeJsonValue } from './guest/json-value.ts';
import { makeLiveClock } from './guest/live-clock.ts';
import { makeMarshal } from './guest/marshal.ts';
import { makeNamespace } from './guest/namespace.ts';
import { makeOutput } from './guest/output.ts';
import { installPlatform } from './guest/platform.ts';
import { installProxies } from './guest/proxies.ts';
import { makeQuestions } from './guest/questions.ts';
import { installRandom } from './guest/random.ts';
import { makeRunner } from './guest/runner.ts';
import { makeBodies } from './guest/shapes/bodies.ts';
import { shapeCrypto } from './guest/shapes/crypto.ts';
import { makeData } from './guest/shapes/data.ts';
import { shapeExec } from './guest/shapes/exec.ts';
import { shapeFetch } from './guest/shapes/fetch.ts';
import { shapeFiles } from './guest/shapes/files.ts';
import { makeHeaders } from './guest/shapes/headers.ts';
import { shapeKv } from './guest/shapes/kv.ts';
import { makeMessages } from './guest/shapes/messages.ts';
import { shapeSleep } from './guest/shapes/sleep.ts';
import { shapeSql } from './guest/shapes/sql.ts';
import { makeStreams } from './guest/shapes/streams.ts';
import { shapeWebSocket } from './guest/shapes/web-socket.ts';
import { installStructuredClone } from './guest/structured-clone.ts';
import { installTimers } from './guest/timers.ts';
import { installUrl } from './guest/url.ts';

/** What `boot` assembles; what is `late` is evaluated when a session first needs it. */
export const GUEST_MODULES = {
  captureBuiltins,
  installAbort,
  installBase64,
  installClock,
  installDomException,
  installEncoding,
  installEvents,
  installPlatform,
  installProxies,
  installRandom,
  installStructuredClone,
  installTimers,
  installUrl,
  makeCapabilityCalls,
  makeConsole,
  makeDescribeError,
  makeDisplay,
  makeGenerator,
  makeGrants,
  makeInspect,
  makeJsonValue,
  makeLiveClock,
  makeMarshal,
  makeNamespace,
  makeOutput,
  makeQuestions,
  makeRunner,
  late: {
    makeHelp,
    image: { makeContents, makeImages, makeRestoreImage, makeSaveImage, makeSurvey },
    shapes: {
      makeData,
      shared: { makeBodies, makeHeaders, makeMessages, makeStreams },
      families: {
        crypto: shapeCrypto,
        exec: shapeExec,
        fetch: shapeFetch,
        files: shapeFiles,
        kv: shapeKv,
        sleep: shapeSleep,
        sql: shapeSql,
        webSocket: shapeWebSocket,
      },
    },
  },
} satisfies GuestModules;

type Modules = { readonly [name: string]: Modules | ((...args: never[]) => unknown) };

/**
 * The parentheses around a module make V8 compile it at once, so that the code cache of the first isolate holds it for the next
 * ones. What is late has none: most sessions never call it.
 */
function textOf(modules: Modules, late: boolean): string {
  const members = Object.entries(modules).map(([name, module]) => {
    if (typeof module !== 'function') return `${name}: ${textOf(module, true)}`;
    return `${name}: ${late ? module : `(${module})`}`;
  });
  return `{ ${members.join(',\n')} }`;
}

const escaped = (text: string): string =>
  text.replaceAll(/[^\0-\xff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);

/**
 * Source of an expression: a function `(send, compute) => enter`. V8 keeps a string that was made of bytes in half the memory, in
 * every isolate; one that has come from a wider one stays wide.
 *
 * @param language source of an expression: the operations of another language
 */
export function preludeOf(language: string): string {
  const text = `((send, compute) => { 'use strict'; return (${boot})(${textOf(GUEST_MODULES, false)}, send, compute, ${language}); })`;
  return Buffer.from(escaped(text), 'latin1').toString('latin1');
}

export const PRELUDE = preludeOf('undefined');
