import type { Inspector } from './inspect.ts';
import type { GuestKernel } from './kernel.ts';

/** An array without a prototype, so that no setter or getter of the guest's is met when it is read or written. */
interface List<T> {
  length: number;
  [index: number]: T;
}

export interface ConsoleMemory {
  readonly groups: number;
  readonly counts: readonly (readonly [label: string, count: number])[];
  readonly timers: readonly (readonly [label: string, startedMs: number])[];
}

export interface GuestConsole {
  memory(): ConsoleMemory;
  recall(memory: ConsoleMemory): void;
}

/**
 * Installs `console` and `print`. Every call writes at most one text, ending in a newline, to one of the session's streams; the
 * formats are Node's. `print(...values)` is `console.log`. Methods need no receiver, and nothing that is printed makes one throw.
 *
 * It owns the indentation, the counters and the running timers, in closures. Counters and timers are bounded in number:
 * beyond LABELS_MAX a new label is refused with a warning.
 */
export function makeConsole(kernel: GuestKernel, inspector: Inspector): GuestConsole {
  // biome-ignore lint/suspicious/noRedundantUseStrict: the text is evaluated in a script, where strictness is not implied
  'use strict';
  const LABELS_MAX = 1000;
  const LABEL_LENGTH_MAX = 1024;
  const GROUPS_MAX = 32;
  const ROWS_MAX = 1000;
  const COLUMNS_MAX = 64;
  const CELL_MAX = 200;

  const uncurryThis = kernel.uncurryThis;
  const { inspect, format, width } = inspector;
  const slice = uncurryThis(String.prototype.slice);
  const indexOf = uncurryThis(String.prototype.indexOf);
  const repeat = uncurryThis(String.prototype.repeat);
  const toFixed = uncurryThis(Number.prototype.toFixed);
  const toText = String;
  const toNumber = Number;
  const floor = Math.floor;
  const min = Math.min;
  const max = Math.max;
  const isArray = Array.isArray;
  const isView = ArrayBuffer.isView;
  const hasOwn = Object.hasOwn;
  const objectKeys = Object.keys;
  const describe = Object.getOwnPropertyDescriptor;
  const captureStackTrace = Error.captureStackTrace;
  const LabelMap = Map<string, number>;
  const mapGet = uncurryThis(Map.prototype.get as (this: unknown, key: string) => number | undefined);
  const mapSet = uncurryThis(Map.prototype.set as (this: unknown, key: string, value: number) => unknown);
  const mapDelete = uncurryThis(Map.prototype.delete as (this: unknown, key: string) => boolean);
  const getterOf = (owner: object) =>
    uncurryThis((describe(owner, 'size') as PropertyDescriptor).get as (this: unknown) => number);
  const mapSize = getterOf(Map.prototype);
  const setSize = getterOf(Set.prototype);
  const mapEntries = uncurryThis(Map.prototype.entries as (this: unknown) => object);
  const mapNext = uncurryThis(new Map().entries().next as (this: unknown) => IteratorResult<[unknown, unknown]>);
  const setValues = uncurryThis(Set.prototype.values as (this: unknown) => object);
  const setNext = uncurryThis(new Set().values().next as (this: unknown) => IteratorResult<unknown>);

  const list = <T>(): List<T> => ({ __proto__: null, length: 0 }) as unknown as List<T>;
  const push = <T>(target: List<T>, item: T): void => {
    target[target.length] = item;
    target.length += 1;
  };

  let groups = 0;
  const counts = new LabelMap();
  const timers = new LabelMap();

  const write = (stream: 'stdout' | 'stderr', text: string): void => {
    if (groups === 0) {
      kernel.write(stream, `${text}\n`);
      return;
    }
    const indentation = repeat('  ', min(groups, GROUPS_MAX));
    let result = indentation;
    let start = 0;
    for (let newline = indexOf(text, '\n'); newline !== -1; newline = indexOf(text, '\n', start)) {
      result += slice(text, start, newline + 1) + indentation;
      start = newline + 1;
    }
    kernel.write(stream, `${result}${slice(text, start)}\n`);
  };
  const warn = (text: string): void => write('stderr', `Warning: ${text}`);
  const labelOf = (label: unknown): string => {
    if (label === undefined) return 'default';
    try {
      return slice(toText(label), 0, LABEL_LENGTH_MAX);
    } catch {
      return '[unprintable]';
    }
  };

  const logTo =
    (stream: 'stdout' | 'stderr') =>
    (values: ArrayLike<unknown>): void =>
      write(stream, format(values));
  const toStdout = logTo('stdout');
  const toStderr = logTo('stderr');

  /** `label: 1.234s`, in the largest unit that keeps the number above one, as Node writes it. */
  const formatDuration = (ms: number): string => {
    if (ms < 1000) return `${toNumber(toFixed(ms, 3))}ms`;
    if (ms < 60_000) return `${toFixed(ms / 1000, 3)}s`;
    const pad = (value: number | string, digits: number): string => {
      const text = `${value}`;
      return repeat('0', max(0, digits - text.length)) + text;
    };
    const hours = floor(ms / 3_600_000);
    const minutes = floor((ms % 3_600_000) / 60_000);
    const seconds = pad(toFixed((ms % 60_000) / 1000, 3), 6);
    return hours > 0 ? `${hours}:${pad(minutes, 2)}:${seconds} (h:mm:ss.mmm)` : `${minutes}:${seconds} (m:ss.mmm)`;
  };
  const logTimer = (label: unknown, method: string, values: ArrayLike<unknown> | null): void => {
    const name = labelOf(label);
    const startedMs = mapGet(timers, name);
    if (startedMs === undefined) {
      warn(`No such label '${name}' for console.${method}()`);
      return;
    }
    let text = `${name}: ${formatDuration(max(0, kernel.clock.nowMs - startedMs))}`;
    for (let i = 1; values !== null && i < values.length; i++) {
      text += ` ${typeof values[i] === 'string' ? values[i] : inspect(values[i])}`;
    }
    write('stdout', text);
    if (values === null) mapDelete(timers, name);
  };

  /** The script that a stack frame names: `at f (SCRIPT:1:2)` or `at SCRIPT:1:2`. */
  const scriptOf = (frame: string): string => {
    let start = 0;
    for (let at = indexOf(frame, '('); at !== -1; at = indexOf(frame, '(', at + 1)) start = at + 1;
    if (start === 0) start = indexOf(frame, 'at ') + 3;
    let end = frame.length;
    for (let at = indexOf(frame, ':', start); at !== -1; at = indexOf(frame, ':', at + 1)) {
      const next = indexOf(frame, ':', at + 1);
      // The last two colons are those of the line and the column.
      if (next !== -1 && indexOf(frame, ':', next + 1) === -1) end = at;
    }
    return slice(frame, start, end);
  };
  /** The stack of the caller without the frames of this module's script; every frame starts with a newline. */
  const guestFrames = (): string => {
    const holder = { __proto__: null, name: 'Trace', message: '' } as unknown as { stack?: unknown };
    try {
      captureStackTrace(holder);
      const stack = holder.stack;
      if (typeof stack !== 'string') return '';
      let frames = '';
      let ownScript: string | null = null;
      let at = indexOf(stack, '\n    at ');
      while (at !== -1) {
        const next = indexOf(stack, '\n    at ', at + 1);
        const frame = slice(stack, at, next === -1 ? stack.length : next);
        const script = scriptOf(frame);
        // The innermost frame is this function's own.
        ownScript ??= script;
        if (script !== ownScript) frames += frame;
        at = next;
      }
      return frames;
    } catch {
      return '';
    }
  };

  /** Whether the value has the internal slot that the getter of a collection's size reads; null where it has not. */
  const sizeOf = (value: object, size: (value: unknown) => number): number | null => {
    try {
      return size(value);
    } catch {
      return null;
    }
  };
  const cell = (value: unknown): string => {
    const open = typeof value === 'object' && value !== null && !isArray(value) && !isView(value);
    const depth = open && objectKeys(value).length > 2 ? -1 : 0;
    return inspect(value, { depth, maxArrayLength: 3, breakLength: 2 ** 30, maxLength: CELL_MAX });
  };
  /** A property as a cell; nothing where it is missing, and never through a getter. */
  const propertyCell = (value: object, key: string): string => {
    try {
      const descriptor = describe(value, key);
      if (descriptor === undefined) return '';
      return hasOwn(descriptor, 'value') ? cell(descriptor.value) : '[Getter]';
    } catch {
      return '[unprintable]';
    }
  };
  const renderTable = (heads: List<string>, columns: List<List<string>>, rows: number): string => {
    const widths = list<number>();
    for (let i = 0; i < heads.length; i++) {
      let widest = width(heads[i] as string);
      for (let row = 0; row < rows; row++) widest = max(widest, width(columns[i]?.[row] ?? ''));
      push(widths, widest + 2);
    }
    const rule = (left: string, middle: string, right: string): string => {
      let text = left;
      for (let i = 0; i < widths.length; i++) text += (i > 0 ? middle : '') + repeat('─', widths[i] as number);
      return text + right;
    };
    const line = (row: number): string => {
      let text = '│';
      for (let i = 0; i < heads.length; i++) {
        const content = row < 0 ? (heads[i] as string) : (columns[i]?.[row] ?? '');
        text += ` ${content}${repeat(' ', (widths[i] as number) - 1 - width(content))}│`;
      }
      return text;
    };
    let text = `${rule('┌', '┬', '┐')}\n${line(-1)}\n${rule('├', '┼', '┤')}\n`;
    for (let row = 0; row < rows; row++) text += `${line(row)}\n`;
    return text + rule('└', '┴', '┘');
  };
  const withRest = (text: string, rest: number): string => (rest > 0 ? `${text}\n... ${rest} more rows` : text);
  const collectionTable = (value: object, size: number, isMap: boolean): string => {
    const heads = list<string>();
    const columns = list<List<string>>();
    const indexes = list<string>();
    const keys = list<string>();
    const values = list<string>();
    const iterator = isMap ? mapEntries(value) : setValues(value);
    for (let i = 0; i < ROWS_MAX; i++) {
      const step = isMap ? mapNext(iterator) : setNext(iterator);
      if (step.done === true) break;
      push(indexes, `${i}`);
      if (isMap) push(keys, cell((step.value as [unknown, unknown])[0]));
      push(values, cell(isMap ? (step.value as [unknown, unknown])[1] : step.value));
    }
    push(heads, '(iteration index)');
    push(columns, indexes);
    if (isMap) {
      push(heads, 'Key');
      push(columns, keys);
    }
    push(heads, 'Values');
    push(columns, values);
    return withRest(renderTable(heads, columns, indexes.length), size - indexes.length);
  };
  /** The names of the rows: the indexes of an array that may be long, the keys of anything else. */
  const rowNames = (value: object): { names: ArrayLike<string>; rest: number } => {
    const stated: unknown = isArray(value) ? describe(value, 'length')?.value : 0;
    const length = typeof stated === 'number' ? stated : 0;
    if (length <= ROWS_MAX) {
      const names = objectKeys(value);
      return { names, rest: max(0, names.length - ROWS_MAX) };
    }
    const names = list<string>();
    for (let i = 0; i < ROWS_MAX; i++) if (hasOwn(value, i)) push(names, `${i}`);
    return { names, rest: length - ROWS_MAX };
  };
  const columnNames = (item: object, chosen: unknown): ArrayLike<string> => {
    if (!isArray(chosen)) return objectKeys(item);
    const names = list<string>();
    for (let i = 0; i < chosen.length && i < COLUMNS_MAX; i++) push(names, labelOf(describe(chosen, i)?.value));
    return names;
  };
  const objectTable = (value: object, chosen: unknown): string => {
    const { names, rest } = rowNames(value);
    const rows = min(names.length, ROWS_MAX);
    const cells = { __proto__: null } as unknown as Record<string, List<string>>;
    const indexes = list<string>();
    const primitives = list<string>();
    let columnCount = 0;
    let hasPrimitives = false;
    for (let row = 0; row < rows; row++) {
      push(indexes, slice(names[row] as string, 0, CELL_MAX));
      const descriptor = describe(value, names[row] as string);
      const getter = descriptor !== undefined && !hasOwn(descriptor, 'value');
      const item: unknown = getter ? undefined : descriptor?.value;
      const primitive = item === null || (typeof item !== 'object' && typeof item !== 'function');
      if (primitive && !isArray(chosen)) {
        hasPrimitives = true;
        primitives[row] = getter ? '[Getter]' : cell(item);
        continue;
      }
      const columns = columnNames(primitive ? {} : (item as object), chosen);
      for (let i = 0; i < columns.length; i++) {
        const name = columns[i] as string;
        if (cells[name] === undefined) {
          if (columnCount >= COLUMNS_MAX) continue;
          columnCount += 1;
          cells[name] = list();
        }
        cells[name][row] = primitive ? '' : propertyCell(item as object, name);
      }
    }
    const heads = list<string>();
    const columns = list<List<string>>();
    push(heads, '(index)');
    push(columns, indexes);
    const found = objectKeys(cells);
    for (let i = 0; i < found.length; i++) {
      push(heads, slice(found[i] as string, 0, CELL_MAX));
      push(columns, cells[found[i] as string] as List<string>);
    }
    if (hasPrimitives) {
      push(heads, 'Values');
      push(columns, primitives);
    }
    return withRest(renderTable(heads, columns, rows), rest);
  };
  const tableOf = (value: unknown, chosen: unknown): string => {
    if (typeof value !== 'object' || value === null) return format({ __proto__: null, length: 1, 0: value } as never);
    try {
      const entries = sizeOf(value, mapSize);
      if (entries !== null) return collectionTable(value, entries, true);
      const values = sizeOf(value, setSize);
      if (values !== null) return collectionTable(value, values, false);
      return objectTable(value, chosen);
    } catch {
      return '[unprintable]';
    }
  };

  const openGroup = (values: ArrayLike<unknown>): void => {
    if (values.length > 0) toStdout(values);
    groups += 1;
  };
  const ignore = (): undefined => undefined;
  const trace = (...values: unknown[]): void => {
    const message = format(values);
    write('stderr', `Trace${message === '' ? '' : `: ${message}`}${guestFrames()}`);
  };
  const methods = {
    log: (...values: unknown[]): void => toStdout(values),
    info: (...values: unknown[]): void => toStdout(values),
    debug: (...values: unknown[]): void => toStdout(values),
    warn: (...values: unknown[]): void => toStderr(values),
    error: (...values: unknown[]): void => toStderr(values),
    trace,
    assert: (condition?: unknown, ...values: unknown[]): void => {
      if (condition) return;
      if (values.length === 0) {
        write('stderr', 'Assertion failed');
        return;
      }
      if (typeof values[0] === 'string') values[0] = `Assertion failed: ${values[0]}`;
      write('stderr', typeof values[0] === 'string' ? format(values) : `Assertion failed ${format(values)}`);
    },
    clear: ignore,
    count: (label?: unknown): void => {
      const name = labelOf(label);
      const count = (mapGet(counts, name) ?? 0) + 1;
      if (count === 1 && mapSize(counts) >= LABELS_MAX) {
        warn(`More than ${LABELS_MAX} labels for console.count()`);
        return;
      }
      mapSet(counts, name, count);
      write('stdout', `${name}: ${count}`);
    },
    countReset: (label?: unknown): void => {
      const name = labelOf(label);
      if (!mapDelete(counts, name)) warn(`Count for '${name}' does not exist`);
    },
    dir: (value?: unknown, options?: unknown): void =>
      write('stdout', inspect(value, typeof options === 'object' && options !== null ? options : {})),
    dirxml: (...values: unknown[]): void => toStdout(values),
    group: (...values: unknown[]): void => openGroup(values),
    groupCollapsed: (...values: unknown[]): void => openGroup(values),
    groupEnd: (): void => {
      if (groups > 0) groups -= 1;
    },
    table: (value?: unknown, columns?: unknown): void => write('stdout', tableOf(value, columns)),
    time: (label?: unknown): void => {
      const name = labelOf(label);
      if (mapGet(timers, name) !== undefined) warn(`Label '${name}' already exists for console.time()`);
      else if (mapSize(timers) >= LABELS_MAX) warn(`More than ${LABELS_MAX} labels for console.time()`);
      else mapSet(timers, name, kernel.clock.nowMs);
    },
    timeLog: (...values: unknown[]): void => logTimer(values.length > 0 ? values[0] : undefined, 'timeLog', values),
    timeEnd: (label?: unknown): void => logTimer(label, 'timeEnd', null),
    timeStamp: ignore,
    profile: ignore,
    profileEnd: ignore,
  };
  Object.defineProperty(methods, Symbol.toStringTag, { value: 'console', configurable: true });
  kernel.define('console', methods);
  kernel.define('print', (...values: unknown[]): void => toStdout(values));
  return {
    memory: () => ({ groups, counts: [...counts], timers: [...timers] }),
    recall(memory) {
      groups = memory.groups;
      for (const [label, count] of memory.counts) mapSet(counts, label, count);
      for (const [label, startedMs] of memory.timers) mapSet(timers, label, startedMs);
    },
  };
}
