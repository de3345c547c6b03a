/**
 * Gives the isolate of a session up while nothing of it runs: it is made again when it is next needed.
 *
 * I1: between an image and the end of its isolate nothing happens in the session, so that whatever follows can be lived again from it.
 */
import type { SessionIsolate } from './session-isolate.ts';
import type { SessionLife } from './session-life.ts';

export interface SleepPowers {
  readonly isolate: Pick<SessionIsolate, 'ask' | 'asked' | 'isOpen'>;
  readonly life: Pick<SessionLife, 'commit' | 'entries' | 'images' | 'imageTaken' | 'replaying' | 'torn'>;
  readonly caughtUp: () => Promise<void>;
  /** Whether what is under way, if anything, only waits for somebody else. */
  readonly canWait: () => boolean;
  /** What was written so far leaves. */
  readonly flush: () => void;
  readonly giveUp: () => void;
}

/** CPU time, in milliseconds, from which on a life is not lived again where there can be an image: that takes about as long. */
const IMAGE_CPU_MS = 250;
/** The same for a session that is in use, whose next cell waits for as long as it takes to make its isolate again. */
const IMAGE_IN_USE_CPU_MS = 5000;

export class SessionSleep {
  readonly #powers: SleepPowers;
  #latest: Promise<unknown> = Promise.resolve();
  /** CPU time of the life, in milliseconds, before which no image is tried again for a session in use: its isolate has refused one. */
  #notBeforeMs = 0;

  constructor(powers: SleepPowers) {
    this.#powers = powers;
  }

  /** False where the isolate may still do something by itself, or could not be made again. */
  hibernate(): Promise<boolean> {
    return this.#inTurn(false);
  }

  /** Nothing runs or waits in the session: what it would take long to live again, or what cannot be lived again, becomes an image. */
  async rest(): Promise<void> {
    if (this.#powers.life.images.cpuMs >= this.#notBeforeMs && this.#isImageWorthIt(IMAGE_IN_USE_CPU_MS))
      await this.#inTurn(true);
  }

  /** The state of now is to be had again: of an image where that is worth it. */
  async secure(): Promise<void> {
    if (this.#isImageWorthIt(IMAGE_CPU_MS)) await this.#inTurn(true);
  }

  /** @param asImage only where it becomes an image */
  #inTurn(asImage: boolean): Promise<boolean> {
    const before = this.#latest;
    const turn = before.catch(() => undefined).then(() => this.#sleep(asImage));
    this.#latest = turn;
    return turn;
  }

  async #sleep(asImage: boolean): Promise<boolean> {
    const { isolate, life, caughtUp, flush, giveUp } = this.#powers;
    await caughtUp();
    const { isOpen } = isolate;
    if (!isOpen || !this.#maySleep) return !isOpen;
    const { timers, entered } = await isolate.ask({ about: 'pending' });
    if (timers > 0 || entered) return false;
    const image = this.#isImageWorthIt(IMAGE_CPU_MS) ? await this.#takeImage() : undefined;
    if (!this.#maySleep || !isolate.isOpen) return false;
    if (image === undefined && (asImage || life.torn !== undefined)) return false;
    flush();
    if (image !== undefined) life.imageTaken(image);
    giveUp();
    if (image !== undefined) await life.commit();
    return true;
  }

  /** Undefined where there is none: something has happened since, or the isolate holds what cannot be saved. */
  async #takeImage(): Promise<string | undefined> {
    const { isolate, life } = this.#powers;
    const { entries } = life;
    const { image, since } = await isolate.ask({ about: 'image' });
    const isKept = image !== null && life.images.canKeep(image);
    this.#notBeforeMs = !isKept ? 2 * life.images.cpuMs + IMAGE_IN_USE_CPU_MS : 0;
    return isKept && since === 0 && entries === life.entries ? image : undefined;
  }

  /** Whether it would take so much CPU time to make the isolate again, in milliseconds, or it cannot be. */
  #isImageWorthIt(cpuMs: number): boolean {
    const { images, torn } = this.#powers.life;
    return torn !== undefined || images.cpuMs >= cpuMs;
  }

  get #maySleep(): boolean {
    const { isolate, life, canWait } = this.#powers;
    return !life.replaying && !isolate.asked && canWait();
  }
}
