import type { AuditRecord } from '../protocol.ts';

const COLUMNS = ['SEQ', 'AT', 'KIND', 'SESSION', 'LEVEL', 'CAPABILITY', 'VERDICT', 'DETAILS'];
const CSV_COLUMNS = ['seq', 'at', 'kind', 'sessionId', 'level', 'capability', 'verdict', 'fields', 'prev', 'hash'];
/** The fields that have a column of their own. */
const OWN_COLUMNS: ReadonlySet<string> = new Set(['sessionId', 'level', 'capability', 'verdict', 'outcome']);
const DETAILS_LENGTH_MAX = 160;

/** The cells of a record in a table; of null the names of the columns. */
export function renderAuditRow(record: AuditRecord | null): readonly string[] {
  if (record === null) return COLUMNS;
  const { seq, at, kind, fields } = record;
  const cell = (name: string): string => oneLine(textOf(fields[name]) || '-');
  const verdict = oneLine(textOf(fields['verdict'] ?? fields['outcome']) || '-');
  const details = oneLine(detailsOf(fields));
  const cut = details.length > DETAILS_LENGTH_MAX ? `${details.slice(0, DETAILS_LENGTH_MAX)}…` : details;
  return [String(seq), at, kind, cell('sessionId'), cell('level'), cell('capability'), verdict, cut];
}

/** A record as one line of text. */
export function renderAuditLine(record: AuditRecord): string {
  return renderAuditRow(record)
    .filter((cell) => cell !== '-')
    .join('  ')
    .trimEnd();
}

/** A record as a line of RFC 4180; of null the names of the columns. */
export function renderAuditCsvRow(record: AuditRecord | null): string {
  if (record === null) return `${CSV_COLUMNS.join(',')}\r\n`;
  const { seq, at, kind, fields, prev, hash } = record;
  const named = ['sessionId', 'level', 'capability', 'verdict'].map((name) => textOf(fields[name]));
  return `${[String(seq), at, kind, ...named, JSON.stringify(fields), prev, hash].map(quoted).join(',')}\r\n`;
}

function detailsOf(fields: AuditRecord['fields']): string {
  return Object.entries(fields)
    .filter(([name, value]) => value !== null && !OWN_COLUMNS.has(name))
    .map(([name, value]) => `${name}=${textOf(value)}`)
    .join(' ');
}

function textOf(value: unknown): string {
  return value === undefined || value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value);
}

/** What guest code wrote must not look like a record of its own, nor turn the direction of what stands beside it. */
function oneLine(text: string): string {
  return text.replaceAll(/[\r\n\t\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, ' ');
}

/** A spreadsheet takes a cell that begins with one of these for a formula; the apostrophe makes it text. */
function quoted(cell: string): string {
  const safe = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
