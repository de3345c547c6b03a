/** Options that several commands have. */
import { InvalidArgumentError, Option } from 'commander';
import { DRAIN_MS_MAX, LANGUAGES } from '../protocol.ts';

const TIMEOUT_MS_MAX = 86_400_000;
const COUNT_MAX = 1_000_000;

export const stateDirOption = (): Option => new Option('--state-dir <dir>', "the daemon's state directory");
export const jsonOption = (): Option => new Option('--json', 'print one JSON document');
export const levelOption = (): Option => new Option('--level <level>', "security level (default: the daemon's)");
export const languageOption = (): Option =>
  new Option('--lang <language>', 'default: by the extension or the #! line of the file, else javascript').choices(
    LANGUAGES,
  );

export const drainMsOption = (): Option =>
  new Option(
    '--drain-ms <ms>',
    'how long what runs may go on once the daemon is told to end (default: 10000)',
  ).argParser((text) => parseWhole(text, DRAIN_MS_MAX, 'a whole number of milliseconds', 0));

export function parseTimeout(text: string): number {
  return parseWhole(text, TIMEOUT_MS_MAX, 'a whole number of milliseconds');
}

export function parseCount(text: string): number {
  return parseWhole(text, COUNT_MAX, 'a whole number');
}

function parseWhole(text: string, max: number, what: string, min = 1): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new InvalidArgumentError(`It must be ${what} from ${min} to ${max}.`);
}
