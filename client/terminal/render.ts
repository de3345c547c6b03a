import { inspect, styleText } from 'node:util';
import type { ExecutionError, Language, Value } from '../protocol.ts';
import { pythonRepr } from './python-repr.ts';

/** Causes nest as deep as the guest likes. */
const CAUSES_MAX = 5;
/** Python puts the innermost frame last, with its line. */
const PYTHON_STACK = /^ {2}File "/;
const WHILE_HANDLING = 'During handling of the above exception, another exception occurred:';
const RAISED_FROM = 'The above exception was the direct cause of the following exception:';

/**
 * A value as a shell user wants it: a string as it is, other JSON compact, or indented where `pretty`; previews as their
 * text; null where there is nothing to print (undefined, None).
 */
export function renderForShell(
  value: Value | undefined,
  options: { readonly pretty: boolean; readonly language: Language },
): string | null {
  if (!value || isUndefined(value) || (options.language === 'python' && isNone(value))) return null;
  if (value.kind === 'preview') return value.text;
  if (typeof value.json === 'string') return value.json;
  return options.pretty ? JSON.stringify(value.json, null, 2) : JSON.stringify(value.json);
}

/** A value as a REPL shows it: a string in quotes, objects as Node or Python print them; null where it shows nothing (None). */
export function renderForRepl(
  value: Value,
  options: { readonly colours: boolean; readonly language: Language },
): string | null {
  if (options.language === 'python' && value.kind === 'json')
    return isNone(value) ? null : (value.text ?? pythonRepr(value.json));
  if (value.kind === 'json') return inspect(value.json, { colors: options.colours, depth: 6, maxArrayLength: 200 });
  return options.colours && isUndefined(value) ? styleText('gray', value.text, { validateStream: false }) : value.text;
}

/** Name and message, then the guest's stack, then the line at fault, then what caused it; of Python, the other way round. */
export function renderError(error: ExecutionError): string {
  if (PYTHON_STACK.test(error.stack)) return pythonTraceback(error, 1).join('\n');
  const lines: string[] = [];
  let current: ExecutionError | undefined = error;
  for (let depth = 0; current && depth < CAUSES_MAX; depth++) {
    lines.push(`${depth === 0 ? '' : 'caused by: '}${headOf(current)}`);
    for (const frame of current.stack.split('\n')) if (frame.trim() !== '') lines.push(`    ${frame.trim()}`);
    if (current.frame !== undefined && current.frame !== '') lines.push(current.frame);
    current = current.cause;
  }
  return lines.join('\n');
}

/** As Python prints it: what came first stands first. */
function pythonTraceback(error: ExecutionError, depth: number): string[] {
  const { cause, stack, code, whileHandling } = error;
  const before =
    cause === undefined || depth >= CAUSES_MAX
      ? []
      : [...pythonTraceback(cause, depth + 1), '', whileHandling ? WHILE_HANDLING : RAISED_FROM, ''];
  const head = stack === '' || code === 'SYNTAX_ERROR' ? [] : ['Traceback (most recent call last):'];
  return [...before, ...head, ...(stack === '' ? [] : stack.split('\n')), headOf(error)];
}

/** What the guest did needs no code beside its name; what was done to it does. */
function headOf({ code, name, message }: ExecutionError): string {
  const head = name === null ? `Uncaught ${message}` : [name, message].filter((part) => part !== '').join(': ');
  return code === 'RUNTIME_ERROR' || code === 'SYNTAX_ERROR' ? head : `${head} [${code}]`;
}

const isNone = (value: Value): boolean => value.kind === 'json' && value.json === null;

function isUndefined(value: Value): boolean {
  return value.kind === 'preview' && value.type === 'undefined';
}

/** Rows of text in columns that line up, the first row being their names. */
export function renderTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
