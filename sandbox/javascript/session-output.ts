/** What a session writes, on its way to the daemon: metered in bytes, cut at the cell's limit, sent in pieces of bounded size. */
import type { SessionMessage } from '../session.ts';
import { OutputMeter } from './output-meter.ts';

/** Characters of one output message. */
const CHUNK = 64 * 1024;

export class SessionOutput {
  readonly #send: (message: SessionMessage) => void;
  readonly #cell: () => number | null;
  readonly #meter = new OutputMeter();

  /** @param cell the cell that output is counted to; null between cells */
  constructor(send: (message: SessionMessage) => void, cell: () => number | null) {
    this.#send = send;
    this.#cell = cell;
  }

  /** A cell begins, with a full allowance. */
  begin(bytesMax: number): void {
    this.#meter.begin(bytesMax);
  }

  write(stream: 'stdout' | 'stderr', text: string): void {
    const { text: admitted, cutNow } = this.#meter.admit(text);
    for (let start = 0; start < admitted.length; start += CHUNK) {
      this.#send({ kind: 'output', cell: this.#cell(), stream, text: admitted.slice(start, start + CHUNK) });
    }
    if (cutNow) this.#cut();
  }

  /** A bundle is shown whole or not at all. */
  display(dataJson: string): void {
    const { text, cutNow } = this.#meter.admit(dataJson);
    if (text === dataJson) this.#send({ kind: 'display', cell: this.#cell(), dataJson });
    if (cutNow) this.#cut();
  }

  log(level: string, text: string): void {
    const { text: admitted, cutNow } = this.#meter.admit(text);
    if (admitted !== '' || text === '') this.#send({ kind: 'log', cell: this.#cell(), level, text: admitted });
    if (cutNow) this.#cut();
  }

  /** The guest side met the limit itself. */
  cutByGuest(): void {
    if (this.#meter.cut()) this.#cut();
  }

  #cut(): void {
    this.#send({ kind: 'output.truncated', cell: this.#cell() });
  }
}
