/** The text of the library that makes `ReadableStream` in an isolate: read when a session first needs it, and then kept. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

let text: string | undefined;

export function streamSource(): string {
  text ??= readFileSync(fileURLToPath(import.meta.resolve('web-streams-polyfill/dist/ponyfill.js')), 'utf8');
  return text;
}
