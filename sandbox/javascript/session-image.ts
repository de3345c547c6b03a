/** The image of one session's isolate, as it is taken. */
import type { EntryEnd, Isolate, Primitive } from '../isolate.ts';
import type { CapabilityGrant, IsolateSpec } from '../protocol.ts';
import type { ImagePowers, SessionLanguage, TakenImage } from '../session-language.ts';
import { guestOpening } from './guest-opening.ts';
import { computeForGuest, type KnownCells } from './host-computation.ts';
import { ImageParts } from './image-parts.ts';

export interface SessionImageParts {
  readonly isolate: Isolate;
  readonly language: Pick<SessionLanguage, 'engineEntryMs' | 'takeImage'>;
  readonly spec: IsolateSpec;
  readonly openedMs: number;
  readonly cells: KnownCells;
  enter(entry: readonly [string, ...Primitive[]]): Promise<EntryEnd>;
  /** An isolate like the session's that nothing has run in. */
  another(): Isolate;
}

export class SessionImage {
  readonly #parts: SessionImageParts;
  /** What has come of the image that is being taken. */
  #image: ImageParts | undefined;
  #taking = false;
  #granted: Pick<CapabilityGrant, 'capabilities' | 'patient'>;

  constructor(parts: SessionImageParts) {
    this.#parts = parts;
    this.#granted = parts.spec;
  }

  /** What the isolate was told last of its capabilities. */
  set granted(grant: CapabilityGrant) {
    this.#granted = grant;
  }

  receive(part: string): void {
    this.#image?.take(part);
  }

  /** Whether what the isolate does is none of the guest's doing. */
  get taking(): boolean {
    return this.#taking;
  }

  /** Nothing may be running in the isolate. */
  async take(): Promise<TakenImage> {
    const { isolate, language, spec } = this.#parts;
    this.#taking = true;
    try {
      return await language.takeImage({
        heapMiB: spec.heapMiB,
        heapBytes: () => isolate.heapBytes(),
        enter: (operation, ...args) => this.#enter([operation, ...args]),
        pristine: (operation) => this.#pristine(operation),
        referToGlobalsOnly: (name, ownNames) => isolate.referToGlobalsOnly(name, ownNames),
      });
    } finally {
      this.#taking = false;
    }
  }

  async #enter(entry: readonly [string, ...Primitive[]]): ReturnType<ImagePowers['enter']> {
    const image = new ImageParts();
    this.#image = image;
    const end = await this.#parts.enter(entry);
    this.#image = undefined;
    return { end, image };
  }

  async #pristine(operation: string): Promise<string | undefined> {
    const { language, spec, openedMs, cells } = this.#parts;
    let isolate: Isolate;
    try {
      isolate = this.#parts.another();
    } catch {
      return undefined;
    }
    isolate.listen({
      message: () => undefined,
      compute: (asked, args) => computeForGuest(asked, args, cells),
      catastrophe: () => undefined,
    });
    const [open, ...opening] = guestOpening({ ...spec, ...this.#granted }, openedMs);
    // As long as an opening may take: what waits for this waits for nothing else.
    const timeoutMs = language.engineEntryMs * 5;
    void isolate.enter(timeoutMs, [open, openedMs, '', ...opening]);
    const end = await isolate.enter(timeoutMs, [operation, 0, '']);
    void isolate.dispose();
    return end.end === 'returned' ? end.text : undefined;
  }
}
