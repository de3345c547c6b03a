/**
 * The images of one session's isolates: each is the state in which one ended, and which the next one goes on from.
 *
 * I1: an image is used for nothing that the isolate had not lived through when it was taken.
 * I2: without an image nothing is lost but time, unless the isolate could not be made again without it.
 */
import type { IsolateImage } from '../../sandbox/protocol.ts';
import type { Rebuilt, RebuiltImage } from '../durability/rebuilt.ts';
import type { SessionJournal } from '../durability/session-journal.ts';

export type ImageJournal = Pick<SessionJournal, 'append' | 'canKeep' | 'keepImages' | 'imageNumbers' | 'image'>;

export class LifeImages {
  readonly #journal: ImageJournal;
  #current: number | undefined;
  #last = 0;
  /** CPU time of the cells since the image, in milliseconds: what it takes at least to make the isolate again. */
  cpuMs = 0;

  constructor(journal: ImageJournal) {
    this.#journal = journal;
  }

  /** The number of the one that the isolate has come of; undefined where it has lived from its opening on. */
  get current(): number | undefined {
    return this.#current;
  }

  startOver(): void {
    this.#current = undefined;
    this.#last = 0;
    this.cpuMs = 0;
    this.#journal.keepImages([]);
  }

  recall({ image, last, cpuMs }: Rebuilt): void {
    this.cpuMs = cpuMs;
    this.#current = image?.number;
    this.#last = last.image;
  }

  /** Whether an image, in base64, is not too long to be kept where it has to be. */
  canKeep(image: string): boolean {
    return this.#journal.canKeep(image.length);
  }

  /**
   * The isolate has ended as this image, in base64.
   * @param inUse the numbers of the images that are still of use besides
   */
  taken(image: string, inUse: readonly (number | undefined)[]): void {
    const number = ++this.#last;
    this.#current = number;
    this.cpuMs = 0;
    this.#journal.append({ r: 'image', number });
    this.#journal.keepImages(
      inUse.filter((used) => used !== undefined),
      { number, image },
    );
  }

  /** The isolate cannot be made of its image, which is of no use then. False where it was not made of one. */
  failed(): boolean {
    const failed = this.#current;
    if (failed === undefined) return false;
    this.#current = undefined;
    this.#journal.keepImages(this.#journal.imageNumbers().filter((number) => number !== failed));
    return true;
  }

  readonly has = (number: number): boolean => this.#journal.imageNumbers().includes(number);

  load({ number, entries, cells }: RebuiltImage): IsolateImage | undefined {
    const image = this.#journal.image(number);
    return image === undefined ? undefined : { image, entries, cells };
  }
}
