/** The last part of a stream, kept without copying what came before at every write. */
export class OutputTail {
  readonly #max: number;
  #text = '';
  #cut = false;

  constructor(charactersMax: number) {
    this.#max = charactersMax;
  }

  append(text: string): void {
    this.#text += text;
    if (this.#text.length > this.#max * 2) this.#trim();
  }

  #trim(): void {
    if (this.#text.length <= this.#max) return;
    // A surrogate pair is not cut in two.
    const start = this.#text.length - this.#max;
    const code = this.#text.charCodeAt(start);
    this.#text = this.#text.slice(code >= 0xdc00 && code <= 0xdfff ? start + 1 : start);
    this.#cut = true;
  }

  get text(): string {
    this.#trim();
    return this.#text;
  }

  /** Whether something was dropped from the front. */
  get cut(): boolean {
    this.#trim();
    return this.#cut;
  }
}
