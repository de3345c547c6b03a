import type { GuestKernel } from './kernel.ts';
import type { GuestOutput, SendToHost } from './output.ts';

/**
 * `display(value)`: shows a value as a MIME bundle. An object whose keys all are MIME types is the bundle itself; a value with a
 * method under `Symbol.for('Jupyter.display')` (Deno's convention) makes its own; anything else is shown as text, and as
 * `application/json` where it is JSON.
 *
 * `log(level?, ...values)`: writes to the session's log, at `debug`, `info` (the default), `warn` or `error`.
 */
export function makeDisplay(
  kernel: GuestKernel,
  send: SendToHost,
  output: Pick<GuestOutput, 'charge' | 'flush'>,
  parts: {
    inspect: (value: unknown) => string;
    format: (args: ArrayLike<unknown>) => string;
    jsonValue: (value: unknown, maxBytes: number) => { json: string } | null | 'too-large';
    valueBytesMax: () => number;
  },
): { display: (value: unknown) => void; log: (...values: unknown[]) => void } {
  const { uncurryThis } = kernel;
  const jupyterDisplay = Symbol.for('Jupyter.display');
  const quote = JSON.stringify as (text: string) => string;
  const ownKeys = Reflect.ownKeys;
  const apply = Reflect.apply;
  const indexOf = uncurryThis(String.prototype.indexOf);
  const slice = uncurryThis(Array.prototype.slice) as (array: unknown[], from: number) => unknown[];
  const sliceText = uncurryThis(String.prototype.slice);
  const CapturedTypeError = TypeError;

  function isBundle(value: unknown): value is Record<string, unknown> {
    if (typeof value !== 'object' || value === null) return false;
    const keys = ownKeys(value);
    if (keys.length === 0) return false;
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as string | symbol;
      if (typeof key !== 'string' || indexOf(key, '/') < 1) return false;
    }
    return true;
  }

  function bundleOf(value: unknown): unknown {
    if (typeof value === 'object' && value !== null) {
      const own = (value as Record<symbol, unknown>)[jupyterDisplay];
      if (typeof own === 'function') return apply(own, value, []);
    }
    return value;
  }

  function bundleJson(value: unknown): string {
    const bundle = bundleOf(value);
    const encoded = parts.jsonValue(bundle, parts.valueBytesMax());
    if (isBundle(bundle)) {
      if (encoded === null || encoded === 'too-large')
        throw new CapturedTypeError('display(): a MIME bundle must be plain JSON data that fits the value limit.');
      if (typeof bundle['text/plain'] === 'string') return encoded.json;
      return `{"text/plain":${quote(parts.inspect(bundle))},${sliceText(encoded.json, 1)}`;
    }
    const text = `"text/plain":${quote(parts.inspect(bundle))}`;
    return encoded === null || encoded === 'too-large' || typeof bundle !== 'object'
      ? `{${text}}`
      : `{${text},"application/json":${encoded.json}}`;
  }

  return {
    display: (value) => {
      const json = bundleJson(value);
      output.flush();
      if (output.charge(json.length)) send('display', json);
    },
    log: (...values) => {
      const first = values[0];
      const named =
        values.length > 1 && (first === 'debug' || first === 'info' || first === 'warn' || first === 'error');
      const text = parts.format(named ? slice(values, 1) : values);
      output.flush();
      if (output.charge(text.length)) send('log', named ? (first as string) : 'info', text);
    },
  };
}
