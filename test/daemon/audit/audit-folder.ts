/** Logs for tests: a folder of their own, records to put into them, and their lines. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import type { AuditRecord } from '../../../client/protocol.ts';
import { AuditLog, type AuditLogOptions } from '../../../daemon/audit/audit-log.ts';
import type { AuditRecords } from '../../../daemon/audit/audit-records.ts';
import { listLogFiles } from '../../../daemon/audit/log-folder.ts';
import { readFolder, verifyFiles } from '../../../daemon/audit/verify.ts';

export const closed = { sessionId: 'ses_1', reason: 'done' };

export const decision: AuditRecords['capability.decision'] = {
  sessionId: 'ses_1',
  executionId: 'exe_1',
  callId: 'call_1',
  level: 'standard',
  capability: 'kv',
  args: ['get', 'key'],
  argsBytes: 13,
  policyHash: 'ab'.repeat(32),
  verdict: 'allow',
  ruleId: 'standard/grants/kv',
};

export function auditFolder(t: ExecutionContext): string {
  const parent = mkdtempSync(join(tmpdir(), 'pyrepl3-audit-'));
  t.teardown(() => rmSync(parent, { recursive: true, force: true }));
  return join(parent, 'audit');
}

/** A log that is closed with the test, if the test has not done it. */
export function openLog(t: ExecutionContext, folder: string, options: AuditLogOptions = {}): AuditLog {
  const log = AuditLog.open(folder, () => 0, options);
  t.teardown(() => log.close().catch(() => undefined));
  return log;
}

export function linesOf(folder: string): string[] {
  return listLogFiles(folder).flatMap(({ path }) => readFileSync(path, 'utf8').split('\n').slice(0, -1));
}

export function recordsOf(folder: string): AuditRecord[] {
  return linesOf(folder).map((line) => JSON.parse(line));
}

export function kindsOf(folder: string): string[] {
  return recordsOf(folder).map(({ kind }) => kind);
}

export function verifyFolder(folder: string) {
  return verifyFiles(readFolder(folder));
}

/** Waits for a condition, which must come true. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(5);
}
