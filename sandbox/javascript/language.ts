import type { SessionLanguage } from '../session-language.ts';
import { takeImage } from './image.ts';
import { isComplete } from './is-complete.ts';
import { readOutcome } from './outcome.ts';
import { type CellLanguage, prepareCell, warmTypescript } from './prepare.ts';

const ENGINE_ENTRY_MS = 1000;
/** A spare is made in a quiet moment: not in the turn in which somebody waits for an answer. */
const REFILL_MS = 5;

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
