import type { SessionLanguage } from '../session-language.ts';
import { takeImage } from './image.ts';
import { readPythonOutcome } from './outcome.ts';
import { preparePython } from './prepare.ts';

/** An interpreter takes longer than the engine itself, on a busy machine most of all; what ends it is the watch on its CPU time. */
const ENGINE_ENTRY_MS = 5000;

/** Longer than it takes whoever was given the last spare to have a first cell answered. */
const REFILL_MS = 250;

export const PYTHON: SessionLanguage = {
  engineEntryMs: ENGINE_ENTRY_MS,
  refillMs: REFILL_MS,
  warm: () => undefined,
  prepare: preparePython,
  readOutcome: readPythonOutcome,
  takeImage,
  isComplete: (source, enter) => enter('isComplete', source),
};
