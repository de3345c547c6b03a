/**
 * The host's end of the IPC channel. Messages of one turn of the event loop leave as one batch, because an IPC message costs
 * more than what is in it.
 */
import type { FromHost, ToHost } from './protocol.ts';

export interface Channel {
  send(message: FromHost): void;
  onMessage(receive: (message: ToHost) => void): void;
  onClose(close: () => void): void;
}

/** The slice of `process` that a forked child talks through. */
export interface IpcPort {
  send?(message: unknown): boolean;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'disconnect', listener: () => void): unknown;
}

export function ipcChannel(port: IpcPort, defer: (flush: () => void) => void): Channel {
  let batch: FromHost[] = [];
  const flush = (): void => {
    const messages = batch;
    batch = [];
    port.send?.(messages);
  };
  return {
    send(message) {
      if (batch.push(message) === 1) defer(flush);
    },
    onMessage(receive) {
      port.on('message', (messages) => {
        for (const message of messages as ToHost[]) receive(message);
      });
    },
    onClose(close) {
      port.on('disconnect', close);
    },
  };
}
