/**
 * The processes that run SQLite: each serves one file, and waits a while for the next call to it.
 *
 * I1: a process has at most one call; one that was killed is never given another.
 * I2: there are at most `sqliteRunningMax` of them; an idle one makes room for a file that has none.
 */
import type { SqlResult } from './sql-call.ts';
import { SQL_LIMITS } from './sql-limits.ts';
import type { SqliteFile } from './sqlite-batch.ts';
import { type SqliteCall, SqliteChild } from './sqlite-child.ts';

interface Idle {
  readonly path: string;
  readonly child: SqliteChild;
  readonly timer: NodeJS.Timeout;
}

export class SqlitePool {
  readonly #all = new Map<SqliteChild, string>();
  /** The one that has been idle longest comes first. */
  #idle: Idle[] = [];
  readonly #isServed: (path: string) => boolean;

  /** @param isServed whether a process for this file is worth keeping */
  constructor(isServed: (path: string) => boolean) {
    this.#isServed = isServed;
  }

  /** Whoever calls holds a slot, of which there are as many as processes. */
  async run(file: SqliteFile, call: SqliteCall): Promise<readonly SqlResult[]> {
    const child = this.#take(file);
    try {
      return await child.run(call);
    } finally {
      this.#keep(file.path, child);
    }
  }

  get pids(): readonly number[] {
    return [...this.#all.keys()].map((child) => child.pid);
  }

  /** Ends the processes of the files that are no longer served and have no call. */
  prune(): void {
    for (const { path, child } of [...this.#idle]) if (!this.#isServed(path)) child.kill();
  }

  /** Ends the processes of these files and resolves when they are gone. */
  async end(isTheirs: (path: string) => boolean): Promise<void> {
    const children = [...this.#all].filter(([, path]) => isTheirs(path)).map(([child]) => child);
    for (const child of children) child.kill();
    await Promise.all(children.map((child) => child.exited));
  }

  #take(file: SqliteFile): SqliteChild {
    const idle = this.#idle.find(({ path, child }) => path === file.path && child.alive);
    if (idle !== undefined) {
      this.#leaveIdle(idle);
      return idle.child;
    }
    const [oldest] = this.#idle;
    if (oldest !== undefined && this.#all.size >= SQL_LIMITS.sqliteRunningMax) {
      this.#leaveIdle(oldest);
      oldest.child.kill();
    }
    return this.#start(file);
  }

  #start(file: SqliteFile): SqliteChild {
    const child = new SqliteChild(file);
    this.#all.set(child, file.path);
    void child.exited.then(() => {
      this.#all.delete(child);
      const idle = this.#idle.find((other) => other.child === child);
      if (idle !== undefined) this.#leaveIdle(idle);
    });
    return child;
  }

  #keep(path: string, child: SqliteChild): void {
    if (!child.alive) return;
    if (!this.#isServed(path)) {
      child.kill();
      return;
    }
    const timer = setTimeout(() => child.kill(), SQL_LIMITS.idleMsMax);
    timer.unref();
    this.#idle.push({ path, child, timer });
  }

  #leaveIdle(idle: Idle): void {
    clearTimeout(idle.timer);
    this.#idle = this.#idle.filter((other) => other !== idle);
  }
}
