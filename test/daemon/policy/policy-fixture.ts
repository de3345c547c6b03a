import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { PolicyStore, type PolicyStoreParts } from '../../../daemon/policy/policy-store.ts';
import type { PolicyFile } from '../../../policies/parse.ts';
import { editedFiles, shippedFiles } from '../../policies/shipped-files.ts';

/** A directory that is gone after the test. */
export function freshDirectory(t: ExecutionContext): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'pyrepl3-policy-')));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function writeFiles(folder: string, files: readonly PolicyFile[] = shippedFiles()): string {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  for (const { name, text } of files) {
    writeFileSync(join(folder, name), text);
    chmodSync(join(folder, name), 0o644);
  }
  return folder;
}

/** An audit log that is a list, and that can be made to fail. */
export class AuditList {
  readonly records: { kind: string; [field: string]: unknown }[] = [];
  broken = false;

  append(kind: string, fields: object): void {
    if (this.broken) throw new Error('the audit log cannot be written');
    this.records.push({ kind, ...fields });
  }

  note(kind: string, fields: object): void {
    this.records.push({ kind, ...fields });
  }

  /** What the policy that was applied as the nth changed, counted from 0. */
  changes(index: number): unknown[] {
    const changes = this.of('policy.applied')[index]?.['changes'];
    return Array.isArray(changes) ? changes : [];
  }

  of(kind: string): Record<string, unknown>[] {
    return this.records.filter((record) => record.kind === kind);
  }
}

export interface OpenStore {
  readonly store: PolicyStore;
  readonly folder: string;
  readonly audit: AuditList;
  readonly lines: string[];
}

/** A store on a folder of the shipped files, which it watches at a quick pace. */
export function openStore(t: ExecutionContext, parts: Partial<PolicyStoreParts> = {}): OpenStore {
  const folder = parts.source?.folder ?? writeFiles(join(freshDirectory(t), 'levels'));
  const audit = new AuditList();
  const lines: string[] = [];
  const store = PolicyStore.open({
    source: { folder, applyTo: folder, checkModes: true },
    audit,
    log: (line) => void lines.push(line),
    watch: { restMs: 20, pollMs: 40 },
    ...parts,
  });
  t.teardown(() => store.close());
  return { store, folder, audit, lines };
}

/** The shipped files with a longer sleep at one level. */
export function withSleep(ms: number): PolicyFile[] {
  return editedFiles('restricted', (text) => text.replace('msMax: 60000', `msMax: ${ms}`));
}

export function sleepOf(store: PolicyStore): unknown {
  return store.current.levels.get('restricted')?.grants.get('sleep')?.constraints['msMax'];
}

/** Resolves when the condition holds; the test's own timeout is its end. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
