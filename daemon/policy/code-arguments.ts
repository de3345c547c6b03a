/**
 * The arguments of a call as a person writes them, which is how code would, made into those that travel: a question such as
 * `--args '["https://api.example.com/"]'` should not need to know the form between isolate and daemon.
 */
import { isJsonObject } from './wire-arguments.ts';

const OPERATIONS: ReadonlySet<unknown> = new Set(['open', 'read', 'cancel', 'send', 'receive', 'close']);

/** Arguments that have the travelling form already stay as they are. */
export function codeArguments(capability: string, args: readonly unknown[]): readonly unknown[] {
  const [first, second, third] = args;
  switch (capability) {
    case 'fetch':
      return OPERATIONS.has(first) ? args : ['open', first, requestOf(second)];
    case 'websocket':
      return OPERATIONS.has(first) ? args : ['open', ...args];
    case 'write_file':
    case 'hash':
      return [first, dataOf(second), ...(third === undefined ? [] : [third])];
    case 'encrypt':
      return first === 'encrypt' || first === 'decrypt' ? args : ['encrypt', dataOf(first), second];
    case 'exec':
      return [first, second ?? [], ...(third === undefined ? [] : [third])];
    default:
      return args;
  }
}

function requestOf(init: unknown): unknown {
  const { method = 'GET', headers, body, redirect = 'follow' } = isJsonObject(init) ? init : {};
  const list = Array.isArray(headers) ? headers : Object.entries(isJsonObject(headers) ? headers : {});
  return { method, headers: list, body: body === undefined || body === null ? null : dataOf(body), redirect };
}

function dataOf(value: unknown): unknown {
  return typeof value === 'string' ? { text: value } : value;
}
