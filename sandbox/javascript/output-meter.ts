/** Counts what a cell writes in exact bytes of UTF-8 and cuts it off at the limit. */
export class OutputMeter {
  #left = 65_536;
  #truncated = false;

  /** A cell begins with a full allowance; what code writes after its cell has ended is counted to that cell. */
  begin(bytesMax: number): void {
    this.#left = bytesMax;
    this.#truncated = false;
  }

  /** The part of `text` that still fits, '' where nothing does. `cutNow` is true once, when the limit is met. */
  admit(text: string): { readonly text: string; readonly cutNow: boolean } {
    if (this.#truncated) return { text: '', cutNow: false };
    const bytes = Buffer.byteLength(text);
    if (bytes <= this.#left) {
      this.#left -= bytes;
      return { text, cutNow: false };
    }
    const fitting = Buffer.from(text)
      .subarray(0, this.#left)
      .toString()
      .replace(/\ufffd+$/u, '');
    this.#truncated = true;
    this.#left = 0;
    return { text: fitting, cutNow: true };
  }

  /** The guest side says that it met the limit itself. True the first time. */
  cut(): boolean {
    const first = !this.#truncated;
    this.#truncated = true;
    return first;
  }
}
