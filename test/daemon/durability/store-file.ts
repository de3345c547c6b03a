/** A durable store in a file of its own, for the tests of one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { DurableStore } from '../../../daemon/durability/durable-store.ts';

export function storeFile(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'pyrepl3-durable-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'durable.db');
}

/** @param file null for one in memory */
export function openStore(t: ExecutionContext, file: string | null, log: (line: string) => void = () => undefined) {
  const store = DurableStore.open({ file, log });
  t.teardown(() => store.close());
  return store;
}
