/** Durable stores in files, and what a kill of their daemon leaves of them. */
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DurableStore } from '../../../daemon/durability/durable-store.ts';
import type { StoredSession } from '../../../daemon/durability/journal-records.ts';
import type { FoundSession, SessionStore } from '../../../daemon/durability/session-store.ts';

export class Stores {
  readonly folder = mkdtempSync(join(tmpdir(), 'pyrepl3-durable-'));
  readonly log: string[] = [];
  readonly #open = new Set<DurableStore>();
  #files = 0;
  #file = '';

  open(): DurableStore {
    this.#file = join(this.folder, `${++this.#files}.sqlite`);
    return this.#opened();
  }

  #opened(): DurableStore {
    const store = DurableStore.open({ file: this.#file, log: (line) => this.log.push(line) });
    this.#open.add(store);
    return store;
  }

  /** What another daemon finds when this one is killed now: nothing that was not committed. */
  killed(store: DurableStore): DurableStore {
    const from = this.#file;
    this.#file = join(this.folder, `${++this.#files}.sqlite`);
    for (const part of ['', '-wal']) if (existsSync(from + part)) copyFileSync(from + part, this.#file + part);
    store.close();
    this.#open.delete(store);
    return this.#opened();
  }

  close(): void {
    for (const store of this.#open) store.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export const STATE: StoredSession = {
  sessionId: 'ses_1',
  principal: 'somebody',
  name: null,
  language: 'javascript',
  labels: {},
  createdAt: '2026-01-01T00:00:00.000Z',
  level: 'trusted',
  asked: { limits: {}, capabilities: null },
  grants: [],
  info: null,
  raises: [],
};

/** Every session of the store with its journal, oldest first. */
export function foundIn(sessions: SessionStore): FoundSession[] {
  return [...sessions.all()].flatMap(({ sessionId }) => sessions.find(sessionId) ?? []);
}
