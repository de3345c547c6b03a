import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { SqlSources } from '../../../daemon/sql/sql-sources.ts';

export const SQL_CONSTRAINTS = { sources: ['scratch'], rowsMax: 10, bytesMax: 1000, timeMsMax: 60_000 };

/** A private SQLite database, `scratch`; there is a source `other` too. */
export function sqlSources(t: ExecutionContext): SqlSources {
  const folder = mkdtempSync(join(tmpdir(), 'pyrepl3-sql-'));
  const sources = new SqlSources({
    sources: new Map([
      ['scratch', { kind: 'private' }],
      ['other', { kind: 'private' }],
    ]),
    privateFolder: join(folder, 'databases'),
    forbidden: [],
    secret: () => null,
  });
  t.teardown(async () => {
    await sources.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return sources;
}
