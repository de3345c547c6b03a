/**
 * The host's end of the channel to the daemon. Messages of one turn of the event loop leave as one batch, a line of JSON, because
 * a write costs more than what is in it. What comes is the daemon's, and is trusted.
 */
import type { FromHost, ToHost } from './protocol.ts';

export interface Channel {
  send(message: FromHost): void;
  onMessage(receive: (message: ToHost) => void): void;
  onClose(close: () => void): void;
}

/** The slice of a socket that a host talks through. */
export interface LinePort {
  write(text: string): unknown;
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  on(event: 'close', listener: () => void): unknown;
}

const LINE_FEED = 0x0a;

export function lineChannel(port: LinePort, defer: (flush: () => void) => void): Channel {
  let batch: FromHost[] = [];
  const flush = (): void => {
    const messages = batch;
    batch = [];
    port.write(`${JSON.stringify(messages)}\n`);
  };
  return {
    send(message) {
      if (batch.push(message) === 1) defer(flush);
    },
    onMessage(receive) {
      let unfinished: Buffer[] = [];
      port.on('data', (chunk) => {
        let from = 0;
        for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, from)) {
          const part = chunk.subarray(from, end);
          const line = unfinished.length === 0 ? part : Buffer.concat([...unfinished, part]);
          unfinished = [];
          from = end + 1;
          for (const message of JSON.parse(line.toString()) as ToHost[]) receive(message);
        }
        if (from < chunk.length) unfinished.push(chunk.subarray(from));
      });
    },
    onClose(close) {
      port.on('close', close);
    },
  };
}
