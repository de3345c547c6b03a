import { dirname, extname, join } from 'node:path';
import type { Client } from '../client.ts';
import type { AuditRecord, Params } from '../protocol.ts';
import { defaultStateDirectory } from '../state-directory.ts';
import { renderTable } from '../terminal/render.ts';
import { renderAuditCsvRow, renderAuditLine, renderAuditRow } from '../terminal/render-audit.ts';
import { plainText } from '../terminal/terminal-filter.ts';
import type { CliContext } from './cli-context.ts';
import { EXIT, usageError } from './cli-error.ts';
import { reachDaemon } from './reach-daemon.ts';

export interface AuditVerifyOptions {
  readonly stateDir?: string;
  /** Public keys other than the one beside the log. */
  readonly key?: readonly string[];
  /** Copies of head.json that were kept elsewhere. */
  readonly head?: readonly string[];
  /** The number of the first record, where older files were archived. */
  readonly first?: string;
  readonly json?: boolean;
}

export interface AuditQueryOptions {
  readonly stateDir?: string;
  /** A time in ISO 8601, or how long ago, such as `90m` or `2d`. */
  readonly since?: string;
  readonly until?: string;
  readonly session?: string;
  readonly level?: string;
  readonly capability?: string;
  readonly verdict?: 'allow' | 'deny' | 'ask';
  readonly kind?: string;
  readonly limit?: number;
  readonly json?: boolean;
  readonly csv?: boolean;
}

export interface AuditTailOptions {
  readonly stateDir?: string;
  readonly follow?: boolean;
  readonly json?: boolean;
}

const LIMIT = 100;
const PAGE_MAX = 1000;
/** How long the daemon is asked to wait for something new. */
const FOLLOW_MS = 30_000;
const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `pyrepl3 audit verify [FILES… | DIR]`: asks no daemon, so that it works on a copy as well. */
export function auditVerify(
  context: CliContext,
  paths: readonly string[],
  options: AuditVerifyOptions,
): Promise<number> {
  const program = join(dirname(context.daemonMain), 'audit', `verify-main${extname(context.daemonMain)}`);
  const folder = join(options.stateDir ?? defaultStateDirectory(context.env), 'audit');
  const keys = (options.key ?? []).flatMap((file) => ['--key', file]);
  const heads = (options.head ?? []).flatMap((file) => ['--head', file]);
  const first = options.first === undefined ? [] : ['--first', options.first];
  const json = options.json ? ['--json'] : [];
  // After `--`, so that no path can be taken for an option.
  return context.replaceProcess([
    program,
    ...keys,
    ...heads,
    ...first,
    ...json,
    '--',
    ...(paths.length === 0 ? [folder] : paths),
  ]);
}

/** `pyrepl3 audit query`: what matches, newest first, as a table, as JSON Lines or as CSV. */
export async function auditQuery(context: CliContext, options: AuditQueryOptions): Promise<number> {
  if (options.json && options.csv) throw usageError('choose one of --json and --csv');
  const filter = filterFrom(options, Date.now());
  await using reached = await reachDaemon(context, { stateDir: options.stateDir, role: 'admin', otherwise: 'fail' });
  const rows: (readonly string[])[] = [];
  if (options.csv) context.out.write(renderAuditCsvRow(null));
  for await (const record of matching(reached.client, filter, options.limit ?? LIMIT)) {
    if (options.json) printJson(context, record);
    else if (options.csv) context.out.write(renderAuditCsvRow(record));
    else rows.push(renderAuditRow(record));
  }
  if (options.json || options.csv) return EXIT.ok;
  const text = rows.length === 0 ? 'nothing in the audit log matches' : renderTable([renderAuditRow(null), ...rows]);
  context.out.write(`${plainText(text)}\n`);
  return EXIT.ok;
}

/** `pyrepl3 audit tail [-f]`: the newest records, and with `-f` those that follow until Ctrl-C. */
export async function auditTail(context: CliContext, options: AuditTailOptions): Promise<number> {
  await using reached = await reachDaemon(context, { stateDir: options.stateDir, role: 'admin', otherwise: 'fail' });
  const { client } = reached;
  const stop = new AbortController();
  const release = context.onInterrupt(() => stop.abort());
  try {
    let { records, lastSeq } = await client.call('audit.tail', {}, { signal: stop.signal });
    for (;;) {
      for (const record of records) {
        if (options.json) printJson(context, record);
        else context.out.write(`${plainText(renderAuditLine(record))}\n`);
      }
      if (!options.follow) return EXIT.ok;
      const params = { afterSeq: lastSeq, waitMs: FOLLOW_MS };
      ({ records, lastSeq } = await client.call('audit.tail', params, { signal: stop.signal }));
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    return EXIT.ok;
  } finally {
    release();
  }
}

type Filter = Params<'audit.query'>;

function filterFrom(options: AuditQueryOptions, nowMs: number): Filter {
  const { since, until, session, level, capability, verdict, kind } = options;
  return {
    ...(since !== undefined && { since: timeFrom('--since', since, nowMs) }),
    ...(until !== undefined && { until: timeFrom('--until', until, nowMs) }),
    ...(session !== undefined && { sessionId: session }),
    ...(level !== undefined && { level }),
    ...(capability !== undefined && { capability }),
    ...(verdict !== undefined && { verdict }),
    ...(kind !== undefined && { kind }),
  };
}

function timeFrom(option: string, text: string, nowMs: number): string {
  const [, count = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const ms = unit === '' ? Date.parse(text) : nowMs - Number(count) * (UNIT_MS[unit] ?? 0);
  if (Number.isFinite(ms)) return new Date(ms).toISOString();
  throw usageError(`${option} takes a time such as 2026-01-31T12:00Z, or how long ago, such as 90m or 2d`);
}

/** Page by page, so that as many can be asked for as there are. */
async function* matching(client: Client, filter: Filter, limit: number): AsyncGenerator<AuditRecord> {
  let left = limit;
  let cursor: string | null | undefined;
  while (left > 0 && cursor !== null) {
    const page = { limit: Math.min(left, PAGE_MAX), ...(cursor !== undefined && { cursor }) };
    const answer = await client.call('audit.query', { ...filter, ...page });
    yield* answer.records;
    left -= answer.records.length;
    cursor = answer.cursor;
  }
}

/** One JSON document a line. JSON may hold what a terminal obeys, beyond what it has to escape. */
function printJson({ out }: CliContext, record: AuditRecord): void {
  const line = JSON.stringify(record);
  out.write(`${out.isTerminal ? plainText(line) : line}\n`);
}
