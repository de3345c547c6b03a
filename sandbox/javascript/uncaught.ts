/** How an error that nobody caught is put on the standard error. */

const MESSAGE_MAX = 8192;

/** @param where ` (in promise)` or nothing */
export function uncaughtText(
  where: '' | ' (in promise)',
  { name, message, stack }: { readonly name: string | null; readonly message: string; readonly stack: string },
): string {
  const title = name === null || name === '' ? message : message === '' ? name : `${name}: ${message}`;
  const frames = stack === '' ? '' : `${stack.replaceAll(/^/gm, '    ')}\n`;
  return `Uncaught${where} ${title.slice(0, MESSAGE_MAX)}\n${frames}`;
}
