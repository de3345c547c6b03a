import type { GuestKernel } from './kernel.ts';

/**
 * Makes `Proxy` one that keeps account of what it has made: nothing else tells a proxy from what stands behind it without running its
 * traps.
 *
 * @returns whether an object is a proxy
 */
export function installProxies(kernel: GuestKernel): (value: object) => boolean {
  const Native = kernel.global['Proxy'] as ProxyConstructor;
  const { apply, construct, defineProperty } = Reflect;
  const made = new WeakSet<object>();
  const add = kernel.uncurryThis(WeakSet.prototype.add);
  const has = kernel.uncurryThis(WeakSet.prototype.has);
  // Without a prototype: what a guest plants on Object.prototype is no trap of ours.
  const tracked = <T extends object>(target: T, traps: ProxyHandler<T>): T =>
    new Native(target, { __proto__: null, ...traps } as ProxyHandler<T>);
  const revocable = tracked(Native.revocable, {
    apply(target, self, args) {
      const result = apply(target, self, args) as { proxy: object };
      add(made, result.proxy);
      return result;
    },
  });
  defineProperty(Native, 'revocable', { value: revocable, writable: true, enumerable: false, configurable: true });
  const Proxies = tracked(Native, {
    construct(target, args, newTarget) {
      const proxy = construct(target, args, newTarget) as object;
      add(made, proxy);
      return proxy;
    },
  });
  kernel.define('Proxy', Proxies);
  return (value) => has(made, value);
}
