import type { GuestBuiltins } from '../builtins.ts';
import type { GuestKernel } from '../kernel.ts';
import type { GuestNamespace } from '../namespace.ts';
import type { makeContents } from './contents.ts';
import type { makeRestoreImage, RestoreParts } from './restore-image.ts';
import type { makeSaveImage, SaveParts } from './save-image.ts';
import type { makeSurvey } from './survey.ts';

export interface ImageModules {
  readonly makeContents: typeof makeContents;
  readonly makeImages: typeof makeImages;
  readonly makeRestoreImage: typeof makeRestoreImage;
  readonly makeSaveImage: typeof makeSaveImage;
  readonly makeSurvey: typeof makeSurvey;
}

export interface GuestImages {
  /** The digest of a survey of the platform. */
  survey(): string;
  /**
   * Saves the namespace, and leaves its functions in an array of the global object under that name, to be looked at. To be called
   * only where the survey says that the platform is as it was made.
   *
   * @returns JSON: of the head, as JSON, and of the names that functions have in their own texts; or of why it cannot be saved
   */
  save(name: string, charactersMax: number): string;
  /** The functions were looked at. */
  taken(name: string): void;
  restore(headJson: string, lines: string): void;
}

/** Images of the isolate's state: see `image-form.ts`. */
export function makeImages(
  kernel: GuestKernel,
  builtins: GuestBuiltins,
  modules: ImageModules,
  parts: SaveParts & RestoreParts & { readonly namespace: GuestNamespace },
): GuestImages {
  const { defineProperty, deleteProperty, parse, stringify } = builtins;
  const { global } = kernel;
  const survey = modules.makeSurvey(kernel, builtins, parts.namespace.platformKeys, parts.isProxy);
  return {
    survey() {
      try {
        return survey().digest;
      } catch {
        return '';
      }
    },
    save(name, charactersMax) {
      try {
        const { head, functions, ownNames } = modules.makeSaveImage(
          kernel,
          modules.makeContents,
          parts,
        )(survey(), charactersMax);
        defineProperty(global, name, { value: functions, configurable: true });
        return stringify({ head: stringify(head), functions: ownNames });
      } catch (error) {
        return stringify({ refused: (error as Error).message });
      }
    },
    taken: (name) => void deleteProperty(global, name),
    restore: (headJson, lines) => modules.makeRestoreImage(kernel, parts)(survey(), parse(headJson), lines),
  };
}
