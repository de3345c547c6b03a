/**
 * The data sources by name, and every statement that reaches one.
 *
 * I1: a statement runs in a process or on a server, never in the daemon, and is ended at the time its level allows.
 * I2: a session's private database is a file that no other session's call can name; it goes with the session.
 * I3: no source is a file in a folder of the daemon's own.
 */
import { closeSync, mkdirSync, openSync, realpathSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import type { SourceSpec } from '../../policies/resources.ts';
import { Fault } from '../fault.ts';
import { CallSlots } from './call-slots.ts';
import type { PostgresSource } from './postgres-source.ts';
import type { SqlCaps, SqlMode, SqlResult, SqlStatement } from './sql-call.ts';
import { sourceDenied, unreachable } from './sql-faults.ts';
import { SQL_LIMITS } from './sql-limits.ts';
import type { SqliteFile } from './sqlite-batch.ts';
import { SqlitePool } from './sqlite-pool.ts';

export interface SqlSourcesOptions {
  readonly sources: ReadonlyMap<string, SourceSpec>;
  /** Holds a folder for each session that uses a private source. */
  readonly privateFolder: string;
  /** Folders of the daemon's own, in which no source may be. */
  readonly forbidden: readonly string[];
  /** The value of a named secret; null where there is none. */
  readonly secret: (name: string) => string | null;
}

export class SqlSources {
  readonly #privateFolder: string;
  readonly #forbidden: readonly string[];
  readonly #secret: (name: string) => string | null;
  #sources: ReadonlyMap<string, SourceSpec>;
  readonly #postgres = new Map<string, { readonly spec: string; readonly source: PostgresSource }>();
  readonly #sqlite: SqlitePool;
  readonly #sqliteSlots = new CallSlots({
    ...SQL_LIMITS,
    runningMax: SQL_LIMITS.sqliteRunningMax,
    runningPerSourceMax: SQL_LIMITS.sqliteRunningPerSourceMax,
  });
  readonly #postgresSlots = new CallSlots({
    ...SQL_LIMITS,
    runningMax: SQL_LIMITS.postgresRunningMax,
    runningPerSourceMax: SQL_LIMITS.postgresRunningPerSourceMax,
  });

  /** Fails with UNAVAILABLE where a source is in a forbidden folder. */
  constructor({ sources, privateFolder, forbidden, secret }: SqlSourcesOptions) {
    this.#privateFolder = privateFolder;
    this.#forbidden = [privateFolder, ...forbidden].map(realPathOf);
    this.#secret = secret;
    this.check(sources);
    this.#sources = sources;
    this.#sqlite = new SqlitePool((path) => this.#isServed(path));
  }

  /** The processes that run SQLite, for whoever watches over the daemon's children. */
  get processIds(): readonly number[] {
    return this.#sqlite.pids;
  }

  /** Fails as the constructor does. */
  check(sources: ReadonlyMap<string, SourceSpec>): void {
    for (const [name, spec] of sources) {
      if (spec.kind === 'sqlite' && this.#isForbidden(spec.path))
        throw new Fault(
          'UNAVAILABLE',
          `The data source "${name}" is a file in a folder of the daemon's own; put it elsewhere.`,
        );
    }
  }

  /** For a policy that was loaded again: calls that run go on, later ones find these. Fails as the constructor does, changing nothing. */
  replace(sources: ReadonlyMap<string, SourceSpec>): void {
    this.check(sources);
    this.#sources = sources;
    this.#sqlite.prune();
    for (const [name, { spec, source }] of [...this.#postgres]) {
      if (JSON.stringify(sources.get(name)) === spec) continue;
      this.#postgres.delete(name);
      void source.close();
    }
  }

  /**
   * Runs the statements, for `write` all or none. Results come in the same order. Fails with a Fault: CAPABILITY_DENIED for a name
   * that is no source, TOO_LARGE, TIMED_OUT, BUSY, INTERRUPTED, MEMORY_EXCEEDED, or EFFECT_FAILED with `reason` `sql`, `refused`,
   * `unreachable` or `in-doubt`.
   */
  async run(
    source: string,
    sessionId: string,
    mode: SqlMode,
    statements: readonly SqlStatement[],
    caps: SqlCaps,
    signal: AbortSignal,
  ): Promise<readonly SqlResult[]> {
    const spec = this.#sources.get(source);
    if (spec === undefined) throw sourceDenied(source);
    if (spec.kind === 'postgres') {
      const release = await this.#postgresSlots.acquire(source, sessionId, caps.timeMsMax, signal);
      try {
        const postgres = await this.#postgresSource(source);
        return await postgres.run({ mode, statements, caps, signal });
      } finally {
        release();
      }
    }
    const file = this.#sqliteFile(source, spec, sessionId);
    const release = await this.#sqliteSlots.acquire(file.path, sessionId, caps.timeMsMax, signal);
    try {
      if (spec.kind === 'private') makePrivate(source, file.path);
      return await this.#sqlite.run(file, { source, mode, statements, caps, signal });
    } finally {
      release();
    }
  }

  /** Ends what runs on the session's private databases and removes them. */
  async removeSession(sessionId: string): Promise<void> {
    const folder = this.#folderOf(sessionId);
    await this.#sqlite.end((path) => path.startsWith(folder + sep));
    await rm(folder, { recursive: true, force: true });
  }

  /** Removes the private databases of all other sessions: when the daemon starts, they are of sessions that are gone. */
  async keep(sessionIds: ReadonlySet<string>): Promise<void> {
    const names = await readdir(this.#privateFolder).catch(() => []);
    const others = names.filter((name) => !sessionIds.has(name));
    await Promise.all(
      others.map((name) =>
        rm(join(this.#privateFolder, name), { recursive: true, force: true }).catch(() => undefined),
      ),
    );
  }

  async close(): Promise<void> {
    const sources = [...this.#postgres.values()].map(({ source }) => source.close());
    this.#postgres.clear();
    await Promise.all([this.#sqlite.end(() => true), ...sources]);
  }

  async #postgresSource(name: string): Promise<PostgresSource> {
    // Loaded by the first who needs it: most daemons have no such source, and a restart is waited for.
    const { PostgresSource } = await import('./postgres-source.ts');
    const known = this.#postgres.get(name);
    if (known !== undefined) return known.source;
    // Looked up only now: whoever had to wait may find another policy.
    const spec = this.#sources.get(name);
    if (spec?.kind !== 'postgres') throw sourceDenied(name);
    const { host, port, database, user, tls, password } = spec;
    const source = new PostgresSource(name, { host, port, database, user, tls }, () => {
      if (password === null) return null;
      const value = this.#secret(password.secret);
      if (value === null) throw new Error(`the secret "${password.secret}" has no value`);
      return value;
    });
    this.#postgres.set(name, { spec: JSON.stringify(spec), source });
    return source;
  }

  #sqliteFile(name: string, spec: SourceSpec & { kind: 'private' | 'sqlite' }, sessionId: string): SqliteFile {
    if (spec.kind === 'private')
      return { path: join(this.#folderOf(sessionId), `${name}.sqlite`), bytesMax: SQL_LIMITS.privateBytesMax };
    // Looked up at each call, because a symlink on the way may have been turned since.
    if (this.#isForbidden(spec.path)) throw unreachable(name);
    return { path: spec.path, bytesMax: null };
  }

  #folderOf(sessionId: string): string {
    if (!/^[\w-]{1,128}$/.test(sessionId)) throw new Error('no session has such an id');
    return join(this.#privateFolder, sessionId);
  }

  #isServed(path: string): boolean {
    if (path.startsWith(this.#privateFolder + sep)) return true;
    return [...this.#sources.values()].some((spec) => spec.kind === 'sqlite' && spec.path === path);
  }

  #isForbidden(path: string): boolean {
    const real = realPathOf(path);
    return this.#forbidden.some((folder) => real === folder || real.startsWith(folder + sep));
  }
}

/** Where the path leads; what does not exist yet is taken as it is named. */
function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(realPathOf(parent), basename(path));
  }
}

/** SQLite takes an empty file for an empty database, also when it only reads. */
function makePrivate(source: string, path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, 'a', 0o600));
  } catch (error) {
    throw unreachable(source, error);
  }
}
