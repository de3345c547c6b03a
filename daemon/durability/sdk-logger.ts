/** What the SDK has to say, for the operator: its warnings and errors, each text once in a while. */
import type { SdkLogger } from './sdk.ts';

const AGAIN_MS = 60_000;
/** That a task which was announced to several, or twice, is another's by now; which is as it should be. */
const NOT_NEWS = 'onMessage failed';
/** Different texts that are remembered; the oldest are forgotten, and may be said again. */
const TEXTS_MAX = 100;

export function sdkLogger(log: (line: string) => void, monotonicMs: () => number): SdkLogger {
  const saidMs = new Map<string, number>();
  const say = (fields: Record<string, unknown>, message: string): void => {
    if (message === NOT_NEWS) return;
    const reason = typeof fields['error'] === 'string' ? `: ${fields['error']}` : '';
    const text = `Resonate: ${message}${reason}`.slice(0, 500);
    const before = saidMs.get(text);
    if (before !== undefined && monotonicMs() - before < AGAIN_MS) return;
    saidMs.delete(text);
    saidMs.set(text, monotonicMs());
    for (const oldest of saidMs.keys()) if (saidMs.size > TEXTS_MAX) saidMs.delete(oldest);
    log(text);
  };
  return { debug: () => undefined, info: () => undefined, warn: say, error: say };
}
