import type { GuestAbort, installAbort } from './abort.ts';
import type { installBase64 } from './base64.ts';
import type { installClock } from './clock.ts';
import type { DomExceptionConstructor, installDomException } from './dom-exception.ts';
import type { GuestEncoding, installEncoding } from './encoding.ts';
import type { installEvents } from './events.ts';
import type { GuestKernel } from './kernel.ts';
import type { LiveClock } from './live-clock.ts';
import type { installRandom } from './random.ts';
import type { installStructuredClone } from './structured-clone.ts';
import type { GuestTimers, installTimers } from './timers.ts';
import type { installUrl } from './url.ts';

export interface PlatformModules {
  readonly installAbort: typeof installAbort;
  readonly installBase64: typeof installBase64;
  readonly installClock: typeof installClock;
  readonly installDomException: typeof installDomException;
  readonly installEncoding: typeof installEncoding;
  readonly installEvents: typeof installEvents;
  readonly installRandom: typeof installRandom;
  readonly installStructuredClone: typeof installStructuredClone;
  readonly installTimers: typeof installTimers;
  readonly installUrl: typeof installUrl;
}

/** What of the engine's own a level grants. */
export interface PlatformGrants {
  readonly liveClock: boolean;
  readonly webAssembly: boolean;
  readonly sharedMemory: boolean;
  readonly resizableBuffers: boolean;
}

/** What other guest modules use of the platform, out of reach of guests. */
export interface GuestPlatform {
  readonly DOMException: DomExceptionConstructor;
  readonly abort: GuestAbort;
  readonly encoding: GuestEncoding;
  readonly timers: GuestTimers;
}

/** Makes V8's bare global object the platform that a user expects, and takes away what the session is not granted. */
export function installPlatform(
  kernel: GuestKernel,
  modules: PlatformModules,
  grants: PlatformGrants,
  liveClock: LiveClock,
): GuestPlatform {
  const { global, define } = kernel;
  const defineProperty = Reflect.defineProperty;
  const construct = Reflect.construct;

  /** Without resizing, `new ArrayBuffer` ignores its options: a reserved buffer lies outside the isolate's memory limit. */
  function fixBuffers(): void {
    const Native = global['ArrayBuffer'] as ArrayBufferConstructor;
    const NativeTypeError = TypeError;
    function Fixed(length: unknown): unknown {
      if (new.target === undefined) throw new NativeTypeError("Constructor ArrayBuffer requires 'new'");
      return construct(Native, [length], new.target);
    }
    for (const key of ['isView', Symbol.species, 'prototype', 'name', 'length']) {
      defineProperty(Fixed, key, Reflect.getOwnPropertyDescriptor(Native, key) as PropertyDescriptor);
    }
    defineProperty(Native.prototype, 'constructor', {
      value: Fixed,
      writable: true,
      configurable: true,
      enumerable: false,
    });
    delete (Native.prototype as { resize?: unknown }).resize;
    define('ArrayBuffer', Fixed);
  }

  // V8's own console would talk to the inspector; what weak references see of garbage collection cannot be replayed.
  delete global['console'];
  delete global['WeakRef'];
  delete global['FinalizationRegistry'];
  const SharedBuffer = global['SharedArrayBuffer'] as { prototype: { grow?: unknown } } | undefined;
  if (!grants.resizableBuffers) {
    fixBuffers();
    delete SharedBuffer?.prototype.grow;
  }
  if (!grants.webAssembly) delete global['WebAssembly'];
  if (!grants.sharedMemory) {
    delete global['SharedArrayBuffer'];
    delete global['Atomics'];
  }
  const DOMException = modules.installDomException(kernel);
  modules.installClock(kernel, grants.liveClock ? liveClock : null);
  const timers = modules.installTimers(kernel);
  modules.installRandom(kernel, DOMException);
  const events = modules.installEvents(kernel, DOMException);
  const abort = modules.installAbort(kernel, DOMException, events, timers);
  const encoding = modules.installEncoding(kernel);
  modules.installUrl(kernel, encoding);
  modules.installBase64(kernel, DOMException);
  // Last, because it refuses to clone instances of the classes that exist by now.
  modules.installStructuredClone(kernel, DOMException);
  return { DOMException, abort, encoding, timers };
}
