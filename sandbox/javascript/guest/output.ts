/** Sends one message to the host, fire and forget. Only primitives travel. */
export type SendToHost = (
  kind: string,
  a?: string | number,
  b?: string | number,
  c?: string | number,
  d?: string | number,
  e?: number,
) => void;

export interface GuestOutput {
  write(stream: 'stdout' | 'stderr', text: string): void;
  /** Charges `length` characters of another kind of output to the cell; false when the limit is reached. */
  charge(length: number): boolean;
  flush(): void;
  /** A cell begins: its allowance is full again. */
  begin(charactersMax: number): void;
}

/**
 * The streams of the session. Text is gathered and leaves at the end of the current microtask, when 8,192 characters wait, or
 * when 20 ms have passed since the last flush, so that a loop that prints neither floods the host nor stays silent. The cap is
 * counted here in characters, before anything crosses to the host; the host counts the exact bytes again.
 */
export function makeOutput(send: SendToHost): GuestOutput {
  const now = Date.now;
  const slice = Function.prototype.call.bind(String.prototype.slice) as (s: string, from: number, to: number) => string;
  let stream: 'stdout' | 'stderr' = 'stdout';
  let pending = '';
  let left = 65_536;
  let truncated = false;
  let flushScheduled = false;
  let flushedAt = 0;

  function flush(): void {
    if (pending !== '') {
      const text = pending;
      pending = '';
      send('out', stream, text);
    }
  }
  async function flushSoon(): Promise<void> {
    await undefined;
    flushScheduled = false;
    flush();
  }
  function truncate(): void {
    truncated = true;
    left = 0;
    flush();
    send('truncated');
  }
  function charge(length: number): boolean {
    if (length <= left) {
      left -= length;
      return true;
    }
    if (!truncated) truncate();
    return false;
  }
  return {
    flush,
    charge,
    begin(charactersMax) {
      left = charactersMax;
      truncated = false;
    },
    write(to, text) {
      if (truncated || text === '') return;
      if (to !== stream) {
        flush();
        stream = to;
      }
      if (text.length > left) {
        pending += slice(text, 0, left);
        truncate();
        return;
      }
      left -= text.length;
      pending += text;
      if (pending.length > 8192 || now() - flushedAt > 20) {
        flush();
        flushedAt = now();
      } else if (!flushScheduled) {
        flushScheduled = true;
        void flushSoon();
      }
    },
  };
}
