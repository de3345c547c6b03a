/**
 * Parses what a sandbox host says. Guest code runs in that process, so after a compromise it may say anything: each message is
 * held against the shape that `sandbox/protocol.ts` promises, and every text has a cap.
 */
import {
  type Answer,
  CALL_FAULTS,
  type CellOutcome,
  type CellUsage,
  type FromHost,
  type GuestErrorReport,
  type IsolateEntry,
  type LifeRecord,
} from '../../sandbox/protocol.ts';

/** Characters of one text of a host. The value limit of the highest level, escaped, fits. */
const TEXT_MAX = 64 * 1024 * 1024;
const ERROR_TEXT_MAX = 64 * 1024;
const BATCH_MAX = 100_000;

/** A message did not have the shape that was promised: the host cannot be trusted any more. */
class HostMessageError extends Error {
  override readonly name = 'HostMessageError';
}

type Loose = Readonly<Record<string, unknown>>;

/** Reads a line that should be the JSON of a batch. */
export function parseHostLine(line: string): readonly FromHost[] {
  let batch: unknown;
  try {
    batch = JSON.parse(line);
  } catch {
    // The parser's own words would hold what the host wrote.
    throw new HostMessageError('A host sent something that is no JSON.');
  }
  return parseHostMessages(batch);
}

export function parseHostMessages(batch: unknown): readonly FromHost[] {
  if (!Array.isArray(batch) || batch.length > BATCH_MAX)
    throw new HostMessageError('A host sent something that is no batch.');
  for (const message of batch)
    check(isRecord(message) && isMessage(message), 'A host sent a message of no known shape.');
  return batch as readonly FromHost[];
}

function isMessage(m: Loose): boolean {
  switch (m['kind']) {
    case 'output':
      return (
        ofIsolate(m) && cellOrNull(m) && (m['stream'] === 'stdout' || m['stream'] === 'stderr') && isText(m['text'])
      );
    case 'cell.done':
      return ofIsolate(m) && isCount(m['cell']) && isOutcome(m['outcome']) && isUsage(m['usage']);
    case 'call':
      return (
        ofIsolate(m) &&
        cellOrNull(m) &&
        isCount(m['origin']) &&
        isCount(m['call']) &&
        isText(m['name'], 256) &&
        isText(m['argsJson']) &&
        optional(m['position'], (text) => isText(text, 256))
      );
    case 'isolate.lived':
      return ofIsolate(m) && Array.isArray(m['records']) && m['records'].length > 0 && m['records'].every(isLifeRecord);
    case 'isolate.replayed':
      return ofIsolate(m) && (m['problem'] === null || isText(m['problem'], ERROR_TEXT_MAX));
    case 'denied':
      return ofIsolate(m) && cellOrNull(m) && isText(m['name'], 256);
    case 'capabilities.refused':
      return ofIsolate(m) && isTexts(m['names']);
    case 'output.truncated':
      return ofIsolate(m) && cellOrNull(m);
    case 'display':
      return ofIsolate(m) && cellOrNull(m) && isText(m['dataJson']);
    case 'log':
      return ofIsolate(m) && cellOrNull(m) && isText(m['level'], 16) && isText(m['text']);
    case 'answer':
      return ofIsolate(m) && isCount(m['id']) && isAnswer(m['answer']);
    case 'refusal':
      return ofIsolate(m) && isCount(m['id']) && REFUSALS.has(m['code']) && isText(m['message']);
    case 'isolate.lost':
      return ofIsolate(m) && isEnd(m['by']) && isText(m['message'], ERROR_TEXT_MAX);
    case 'host.ready':
      return isText(m['v8'], 64);
    case 'host.snapshot':
      return isText(m['name'], 128) && typeof m['found'] === 'boolean';
    case 'host.pong':
      return isCount(m['id']);
    case 'host.doomed':
      return (
        (m['isolate'] === null || isText(m['isolate'], 64)) && isEnd(m['by']) && isText(m['message'], ERROR_TEXT_MAX)
      );
    default:
      return false;
  }
}

const ENTRIES: ReadonlySet<unknown> = new Set<IsolateEntry['op']>([
  'open',
  'run',
  'timer',
  'settle',
  'grant',
  'ask',
  'abandon',
]);

function isLifeRecord(value: unknown): value is LifeRecord {
  if (!isRecord(value)) return false;
  if (value['op'] === 'reads') return isText(value['reads']) && isCount(value['entry']);
  if (value['op'] === 'torn') return isText(value['why'], 1024);
  return ENTRIES.has(value['op']) && isCount(value['ref']) && isCount(value['nowMs']) && isText(value['entropy'], 64);
}

const REFUSALS: ReadonlySet<unknown> = new Set(['TIMED_OUT', 'TOO_LARGE', 'RUNTIME_ERROR', 'SESSION_LOST']);
const ERROR_CODES: ReadonlySet<unknown> = new Set<GuestErrorReport['code']>([
  'SYNTAX_ERROR',
  'RUNTIME_ERROR',
  ...CALL_FAULTS,
]);

function isOutcome(value: unknown): value is CellOutcome {
  if (!isRecord(value)) return false;
  switch (value['status']) {
    case 'value':
      return isText(value['json']) && optional(value['text'], (text) => isText(text, ERROR_TEXT_MAX));
    case 'preview':
      return isText(value['type'], 1024) && isText(value['text']);
    case 'stopped':
      return value['by'] === 'cpu' || value['by'] === 'wall' || value['by'] === 'request';
    case 'error':
      return isErrorReport(value['error'], 0);
    default:
      return false;
  }
}

function isErrorReport(value: unknown, depth: number): boolean {
  if (!isRecord(value) || depth > 8) return false;
  return (
    ERROR_CODES.has(value['code']) &&
    (value['name'] === null || isText(value['name'], ERROR_TEXT_MAX)) &&
    isText(value['message'], ERROR_TEXT_MAX) &&
    isText(value['stack'], ERROR_TEXT_MAX) &&
    optional(value['thrownType'], (text) => isText(text, 16)) &&
    optional(value['line'], isCount) &&
    optional(value['column'], isCount) &&
    optional(value['frame'], (text) => isText(text, ERROR_TEXT_MAX)) &&
    optional(value['exitStatus'], Number.isSafeInteger) &&
    optional(value['capability'], (text) => isText(text, 1024)) &&
    optional(value['cause'], (cause) => isErrorReport(cause, depth + 1)) &&
    optional(value['whileHandling'], (flag) => typeof flag === 'boolean') &&
    optional(
      value['errors'],
      (errors) => Array.isArray(errors) && errors.length <= 10 && errors.every((e) => isErrorReport(e, depth + 1)),
    )
  );
}

function isUsage(value: unknown): value is CellUsage {
  return (
    isRecord(value) &&
    isAmount(value['cpuMs']) &&
    isAmount(value['wallMs']) &&
    isAmount(value['heapBytes']) &&
    typeof value['stateful'] === 'boolean' &&
    isCount(value['pending'])
  );
}

function isAnswer(value: unknown): value is Answer {
  if (!isRecord(value)) return false;
  switch (value['about']) {
    case 'namespace.list':
      return (
        Array.isArray(value['names']) &&
        value['names'].every(
          (entry) =>
            isRecord(entry) &&
            isText(entry['name']) &&
            isText(entry['kind'], 64) &&
            isText(entry['type'], 1024) &&
            isText(entry['preview']),
        )
      );
    case 'namespace.get':
      return (
        typeof value['found'] === 'boolean' &&
        optional(value['outcome'], isOutcome) &&
        value['found'] === (value['outcome'] !== undefined)
      );
    case 'namespace.set':
    case 'namespace.delete':
      return isTexts(value['names']);
    case 'complete':
      return isTexts(value['matches']) && isCount(value['start']) && isCount(value['end']);
    case 'image':
      return (
        (value['image'] === null || isText(value['image'])) && isText(value['refused'], 1024) && isCount(value['since'])
      );
    case 'inspect':
      return typeof value['found'] === 'boolean' && isText(value['text']);
    case 'isComplete':
      return value['status'] === 'complete' || value['status'] === 'incomplete' || value['status'] === 'invalid';
    case 'pending':
      return isCount(value['timers']) && typeof value['entered'] === 'boolean';
    default:
      return false;
  }
}

const ofIsolate = (m: Loose): boolean => isText(m['isolate'], 64);
const cellOrNull = (m: Loose): boolean => m['cell'] === null || isCount(m['cell']);
const optional = (value: unknown, test: (value: unknown) => boolean): boolean => value === undefined || test(value);
const isRecord = (value: unknown): value is Loose => typeof value === 'object' && value !== null;
const isText = (value: unknown, max: number = TEXT_MAX): value is string =>
  typeof value === 'string' && value.length <= max;
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every((text) => isText(text));
const isEnd = (value: unknown): boolean => value === 'memory' || value === 'stuck';
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isAmount = (value: unknown): value is number =>
  typeof value === 'number' && value >= 0 && value < Number.MAX_SAFE_INTEGER;

function check(holds: boolean, message: string): void {
  if (!holds) throw new HostMessageError(message);
}
