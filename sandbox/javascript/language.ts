import type { SessionLanguage } from '../session-language.ts';
import { takeImage } from './image.ts';
import { isComplete } from './is-complete.ts';
import { readOutcome } from './outcome.ts';
import { type CellLanguage, prepareCell, warmTypescript } from './prepare.ts';

const ENGINE_ENTRY_MS = 1000;
/** Longer than it takes whoever was given the last spare to have a few cells answered: making one takes milliseconds of the host. */
const REFILL_MS = 25;

const languageOf = (language: CellLanguage): SessionLanguage => ({
  engineEntryMs: ENGINE_ENTRY_MS,
  refillMs: REFILL_MS,
  warm: () => (language === 'typescript' ? warmTypescript() : undefined),
  prepare: (source, options) => prepareCell(source, { language, ...options }),
  readOutcome,
  takeImage,
  isComplete: (source) => isComplete(source, language),
});

export const JAVASCRIPT = languageOf('javascript');
export const TYPESCRIPT = languageOf('typescript');
