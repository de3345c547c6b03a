import type { captureBuiltins } from './builtins.ts';
import type { CapabilityCalls, makeCapabilityCalls } from './capability-calls.ts';
import type { GuestConsole, makeConsole } from './console.ts';
import type { makeDescribeError } from './describe-error.ts';
import type { makeDisplay } from './display.ts';
import type { makeGenerator } from './generator.ts';
import type { GuestGrants, makeGrants } from './grants.ts';
import type { makeHelp } from './help.ts';
import type { GuestImages, ImageModules } from './image/images.ts';
import type { makeInspect } from './inspect.ts';
import type { makeJsonValue } from './json-value.ts';
import type { GuestKernel, HostComputation } from './kernel.ts';
import type { makeLiveClock } from './live-clock.ts';
import type { makeMarshal } from './marshal.ts';
import type { makeNamespace } from './namespace.ts';
import type { GuestOutput, makeOutput, SendToHost } from './output.ts';
import type { GuestPlatform, installPlatform, PlatformGrants, PlatformModules } from './platform.ts';
import type { installProxies } from './proxies.ts';
import type { makeQuestions } from './questions.ts';
import type { CellShape, makeRunner } from './runner.ts';
import type { GuestShapes } from './shapes/shape.ts';

/** What `enter('install', …)` is told, as JSON. */
export interface GuestInstallation {
  readonly platform: PlatformGrants;
  /** What the session will probably be granted. */
  readonly capabilities: readonly string[];
}

/** What `enter('open', …)` is told, as JSON: the guest's part of the isolate's specification. */
export interface GuestSpec {
  readonly seed: string;
  readonly nowMs: number;
  readonly outputs: readonly string[];
  readonly capabilities: readonly string[];
  /** Those of them whose calls say where they stand. */
  readonly patient: readonly string[];
  readonly valueBytesMax: number;
  readonly pendingCallsMax: number;
  readonly argv?: readonly string[];
  /** What `state` said in the isolate that this one goes on from. */
  readonly resume?: string;
}

/** What `enter('grant', …)` is told, as JSON. */
export type GuestGrant = Pick<GuestSpec, 'capabilities' | 'patient'>;

/** The host's only way in. `a` to `d` depend on the operation; answers text, '' where there is nothing to say. */
export type Enter = (
  operation: string,
  nowMs: number,
  entropy: string,
  a?: unknown,
  b?: unknown,
  c?: unknown,
  ...rest: string[]
) => string;

export interface GuestModules extends PlatformModules {
  readonly captureBuiltins: typeof captureBuiltins;
  readonly installPlatform: typeof installPlatform;
  readonly installProxies: typeof installProxies;
  readonly makeCapabilityCalls: typeof makeCapabilityCalls;
  readonly makeConsole: typeof makeConsole;
  readonly makeDescribeError: typeof makeDescribeError;
  readonly makeDisplay: typeof makeDisplay;
  readonly makeGenerator: typeof makeGenerator;
  readonly makeGrants: typeof makeGrants;
  readonly makeInspect: typeof makeInspect;
  readonly makeJsonValue: typeof makeJsonValue;
  readonly makeLiveClock: typeof makeLiveClock;
  readonly makeMarshal: typeof makeMarshal;
  readonly makeNamespace: typeof makeNamespace;
  readonly makeOutput: typeof makeOutput;
  readonly makeQuestions: typeof makeQuestions;
  readonly makeRunner: typeof makeRunner;
  /** Evaluated when a session first needs them, if ever. */
  readonly late: {
    readonly makeHelp: typeof makeHelp;
    readonly image: ImageModules;
    readonly shapes: GuestShapes;
  };
}

type Operations = Record<string, (a: unknown, b: unknown, c: unknown, rest: string[]) => string>;

/** The operations of another language, in place of JavaScript's. */
export type LanguageOperations = (parts: {
  readonly kernel: GuestKernel;
  readonly send: SendToHost;
  readonly output: GuestOutput;
  readonly calls: CapabilityCalls;
  readonly platform: Operations;
}) => Operations;

/** Assembles the guest side from its modules, before any guest code has run. Evaluated inside the isolate. */
export function boot(
  modules: GuestModules,
  sendNow: SendToHost,
  computeByHost: (operation: string, ...args: string[]) => string | null,
  language?: LanguageOperations,
): Enter {
  const global = globalThis as unknown as Record<string, unknown>;
  const { parse, stringify } = JSON;
  const defineProperty = Reflect.defineProperty;
  const uncurryThis = Function.prototype.bind.bind(Function.prototype.call) as GuestKernel['uncurryThis'];
  const clock = { nowMs: 0, startMs: 0 };
  let origin = 0;
  const liveClock = modules.makeLiveClock(sendNow);
  const apply = Reflect.apply;
  const send: SendToHost = (...message) => {
    liveClock.report();
    // Spreading goes through an iterator that a guest may have replaced.
    apply(sendNow, undefined, message);
  };
  const output = modules.makeOutput(send);
  let generator: ReturnType<typeof makeGenerator> = {
    random32: () => 0,
    mix: () => undefined,
    state: () => '',
    resume: () => undefined,
  };
  const kernel: GuestKernel = {
    global,
    uncurryThis,
    define: (name, value) =>
      void defineProperty(global, name, {
        __proto__: null,
        value,
        writable: true,
        configurable: true,
        enumerable: false,
      } as PropertyDescriptor),
    clock,
    random32: () => generator.random32(),
    compute: computeByHost as (operation: HostComputation, ...args: string[]) => string | null,
    origin: () => origin,
    startTimer: (id, delayMs, repeat) => send('timer', id, delayMs, repeat ? 1 : 0, origin),
    stopTimer: (id) => send('untimer', id),
    write: output.write,
  };

  let spec = { valueBytesMax: 65_536, pendingCallsMax: 1 } as GuestSpec;
  const valueBytesMax = (): number => spec.valueBytesMax;
  const inspector = modules.makeInspect(kernel);
  const jsonValue = modules.makeJsonValue(kernel);
  const describeError = modules.makeDescribeError(kernel, inspector.inspect);
  const calls = modules.makeCapabilityCalls(kernel, send, jsonValue, {
    argumentsMax: 25_165_824,
    waitingMax: 50_331_648,
    pendingCallsMax: () => spec.pendingCallsMax,
  });
  const marshal = modules.makeMarshal(kernel, {
    inspect: inspector.inspect,
    jsonValue,
    describeError,
    faultOf: calls.faultOf,
    valueBytesMax,
  });
  const namespace = modules.makeNamespace(kernel);
  const runner = modules.makeRunner(kernel, send, { marshal, namespace, output });
  const questions = modules.makeQuestions(kernel, marshal, namespace, inspector.inspect);
  const { display, log } = modules.makeDisplay(kernel, send, output, {
    inspect: inspector.inspect,
    format: inspector.format,
    jsonValue,
    valueBytesMax,
  });
  let platform!: GuestPlatform;
  let grants!: GuestGrants;
  let builtins!: ReturnType<typeof captureBuiltins>;
  let guestConsole!: GuestConsole;
  let isProxy: (value: object) => boolean = () => false;
  let showHelp: ReturnType<typeof makeHelp> | undefined;
  let madeImages: GuestImages | undefined;
  const docs = { __proto__: null, length: 0 } as unknown as { length: number; [index: number]: string };

  /** What does not depend on the session, so that a spare isolate has it behind it. */
  function install(installation: GuestInstallation): void {
    // Another language has images of its own, and its engine makes many proxies.
    if (language === undefined) isProxy = modules.installProxies(kernel);
    platform = modules.installPlatform(kernel, modules, installation.platform, liveClock);
    builtins = modules.captureBuiltins(kernel, platform);
    grants = modules.makeGrants(kernel, calls, modules.late.shapes, builtins, namespace);
    guestConsole = modules.makeConsole(kernel, inspector);
    kernel.define('display', display);
    kernel.define('log', log);
    kernel.define('help', help);
    // V8 compiles a function when it is first called: a first cell, of nothing, spares the user's own the wait.
    runner.run(0, 'direct', '', { __proto__: null, length: 1, 0: 'void 0' } as unknown as ArrayLike<string>);
    marshal.value(0);
    grants.prepare(installation.capabilities);
    give({ capabilities: [], patient: [] });
  }

  const help = (...subject: unknown[]): void => {
    showHelp ??= modules.late.makeHelp(kernel, builtins, {
      grants,
      isGranted: calls.isGranted,
      outputs: () => spec.outputs,
      describe: (value) => `${marshal.typeName(value)}: ${inspector.inspect(value, { maxLength: 1000 })}`,
    });
    showHelp(subject, docs);
  };

  /** The texts are kept as they came: most sessions never ask for help. */
  function keepDocs(docsJson: unknown): void {
    if (typeof docsJson === 'string' && docsJson !== '[]') docs[docs.length++] = docsJson;
  }
  /** Tells the host which names could not be given. */
  function give({ capabilities, patient }: GuestGrant): void {
    const refused = grants.set(capabilities, patient);
    let names = '';
    for (let i = 0; i < refused.length; i++) names += (i === 0 ? '' : ',') + refused[i];
    if (names !== '') send('refused', names);
  }

  /** @param head and lines: of the image that the isolate goes on from, where there is one */
  function open(session: GuestSpec, docsJson: unknown, head?: unknown, lines?: ArrayLike<string>): void {
    spec = session;
    liveClock.start();
    clock.nowMs = clock.startMs = spec.nowMs;
    generator = modules.makeGenerator(spec.seed);
    for (const name of ['console', 'print', 'display', 'log']) if (!spec.outputs.includes(name)) delete global[name];
    if (!spec.outputs.includes('print')) delete global['help'];
    keepDocs(docsJson);
    give(spec);
    namespace.begin();
    if (spec.argv !== undefined) namespace.set('argv', spec.argv);
    if (spec.resume !== undefined) resume(spec.resume);
    if (typeof head === 'string') images().restore(head, lines?.[0] ?? '');
  }

  /** What of the platform is not as it was at the start, where guest code has never used it but through another language. */
  const state = (): string =>
    stringify([clock.nowMs, origin, calls.made(), generator.state(), liveClock.state(), platform.timers.last()]);
  function resume(saved: string): void {
    const [nowMs, cell, made, random, reads, timer] = parse(saved);
    clock.nowMs = nowMs;
    origin = cell;
    calls.resume(made);
    generator.resume(random);
    liveClock.resume(reads);
    platform.timers.resume(timer);
  }
  function images(): GuestImages {
    madeImages ??= modules.late.image.makeImages(kernel, builtins, modules.late.image, {
      ...{ send, namespace, state, resume },
      console: guestConsole,
      isProxy: (value) => isProxy(value),
      isMarked: (value) => calls.faultOf(value) !== undefined,
    });
    return madeImages;
  }

  const operations: Operations = {
    // No name of Object.prototype is an operation.
    __proto__: null as never,
    install: (a) => quietly(install(parse(a as string))),
    open: (a, b, c, rest) => quietly(open(parse(a as string), b, c, rest)),
    run(a, b, c, rest) {
      output.begin(c as number);
      calls.begin();
      const scripts = {
        __proto__: null,
        length: rest.length - 1,
        0: rest[1],
        // Beyond its end an array answers with what a guest may have planted on a prototype.
        1: rest.length > 2 ? rest[2] : undefined,
      } as unknown as ArrayLike<string>;
      return runner.run(a as number, b as CellShape, rest[0] as string, scripts);
    },
    collect: (a) => runner.collect(a as number),
    abandon: () => quietly(runner.abandon()),
    settle: (a, b, c) => quietly(calls.settle(a as number, b === 1, c as string)),
    timer: (a) => fire(a as number),
    grant(a, b) {
      keepDocs(b);
      return quietly(give(parse(a as string)));
    },
    list: () => questions.list(true),
    names: () => questions.list(false),
    get: (a) => questions.get(a as string),
    set: (a) => questions.set(a as string),
    delete: (a) => questions.delete(a as string),
    complete: (a) => questions.complete(a as string),
    inspect: (a) => questions.inspect(a as string),
    probe: () => '',
    survey: () => images().survey(),
    image: (a, b) => images().save(a as string, b as number),
    imageTaken: (a) => quietly(images().taken(a as string)),
    state,
    reads: (a) => quietly(liveClock.replay(a as string)),
  };
  /** What a callback throws is described here like the error of a cell: read by the engine, it would run getters under no timeout. */
  function fire(timer: number): string {
    let uncaught = '';
    try {
      platform.timers.fire(timer);
    } catch (thrown) {
      uncaught = marshal.error(thrown);
    }
    output.flush();
    return uncaught;
  }
  function quietly(_: unknown): string {
    output.flush();
    return '';
  }
  if (language !== undefined)
    Object.assign(operations, language({ kernel, send, output, calls, platform: { ...operations } }));
  return (operation, nowMs, entropy, a, b, c, ...rest) => {
    if (nowMs > 0) liveClock.begin();
    if (nowMs > clock.nowMs) clock.nowMs = nowMs;
    if (entropy !== '') generator.mix(entropy);
    // Any other entry goes on with what the one before it has begun.
    if (operation === 'run') origin = a as number;
    else if (operation === 'timer') origin = b as number;
    else if (operation === 'settle') origin = rest[0] as unknown as number;
    const answer = operations[operation]?.(a, b, c, rest) ?? '';
    liveClock.report();
    return answer;
  };
}
