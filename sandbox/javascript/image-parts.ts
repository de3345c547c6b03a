/** An image as the guest side sends it: text, or bytes, a character each. */

/** More than any image that is taken has; what comes beyond it is left out, and missed. */
const CHARACTERS_MAX = 64 * 1024 * 1024;

export class ImageParts {
  readonly #parts: string[] = [];
  #left = CHARACTERS_MAX;

  take(part: string): void {
    this.#left -= part.length;
    if (this.#left >= 0) this.#parts.push(part);
  }

  get text(): string {
    return this.#parts.join('');
  }

  get bytes(): Buffer {
    return Buffer.from(this.text, 'latin1');
  }
}
