/** Goes through everything that can be reached from the loader and the global object, and names the shared buffers in it. */
export const WALK = `globalThis.walk = (module, api, global) => {
  const seen = new Set(), shared = [];
  const queue = [['module', module], ['api', api], ['global', global]];
  const attempt = (act) => { try { return act(); } catch { return undefined; } };
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const [path, value] = next;
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) continue;
    seen.add(value);
    if (seen.size > 200_000) return JSON.stringify([seen.size, 'there is no end of it']);
    if (attempt(() => Object.prototype.toString.call(value)) === '[object SharedArrayBuffer]') shared.push(path);
    if (ArrayBuffer.isView(value)) { queue.push([path + '.buffer', value.buffer]); continue; }
    for (const key of attempt(() => Reflect.ownKeys(value)) ?? [])
      queue.push([path + '.' + String(key), attempt(() => Reflect.getOwnPropertyDescriptor(value, key).value)]);
    queue.push([path + '.__proto__', attempt(() => Object.getPrototypeOf(value))]);
    attempt(() => { if (value instanceof Map) for (const entry of value) queue.push([path + '<>', entry[0]], [path + '<>', entry[1]]); });
    attempt(() => { if (value instanceof Set) for (const entry of value) queue.push([path + '<>', entry]); });
  }
  return JSON.stringify([seen.size, shared]);
}; 1`;
