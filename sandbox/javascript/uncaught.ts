/** How an error that nobody caught is put on the standard error. */
import { readOutcome } from './outcome.ts';
import { type CellSource, userStack } from './stack.ts';

const MESSAGE_MAX = 8192;

type CellSources = (cell: number) => CellSource | undefined;

/** @param outcomeJson what the guest side says of a callback that threw; any other outcome is no text */
export function uncaughtThrow(outcomeJson: string, cellSource: CellSources): string {
  const outcome = readOutcome(outcomeJson, cellSource);
  return outcome.status === 'error' ? uncaughtText('Uncaught', outcome.error) : '';
}

export function uncaughtRejection(
  { name, message, stack }: { readonly name: string; readonly message: string; readonly stack: string },
  cellSource: CellSources,
): string {
  return uncaughtText('Uncaught (in promise)', { name, message, stack: userStack(stack, cellSource).frames });
}

function uncaughtText(
  what: string,
  { name, message, stack }: { readonly name: string | null; readonly message: string; readonly stack: string },
): string {
  const title = name === null || name === '' ? message : message === '' ? name : `${name}: ${message}`;
  const frames = stack === '' ? '' : `${stack.replaceAll(/^/gm, '    ')}\n`;
  return `${what} ${title.slice(0, MESSAGE_MAX)}\n${frames}`;
}
