/**
 * A database and roles for the tests of one file, on the PostgreSQL server that PYREPL3_TEST_POSTGRES names (`.ci/postgres` starts
 * one; the URL is that of a superuser of a throw-away cluster). Without a server these tests are skipped, visibly.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import test, { type ExecutionContext, type TestFn } from 'ava';
import pg from 'pg';
import type { SourceSpec } from '../../policies/resources.ts';

const SERVER = process.env['PYREPL3_TEST_POSTGRES'] || undefined;
/** `resonate.sql` of resonatehq/resonate-pg, which is not ours to ship. */
const RESONATE_SQL = process.env['PYREPL3_TEST_RESONATE_SQL'] || undefined;

type PostgresSpec = SourceSpec & { readonly kind: 'postgres' };

/** A test that needs the server. */
export function postgresTest(title: string, implementation: (t: ExecutionContext) => Promise<void>): void {
  if (SERVER === undefined)
    test.skip(`${title} (skipped: PYREPL3_TEST_POSTGRES names no server; see .ci/postgres)`, implementation);
  else test(title, implementation);
}

/** A test that needs the server, and the schema of Resonate for it. */
export function resonateTest(title: string, implementation: (t: ExecutionContext) => Promise<void>): void {
  if (RESONATE_SQL === undefined)
    test.skip(`${title} (skipped: PYREPL3_TEST_RESONATE_SQL names no resonate.sql)`, implementation);
  else postgresTest(title, implementation);
}

export class TestDatabase {
  /** A plain role that owns the database. */
  readonly spec: PostgresSpec;
  /** The same, with a password that the server asks for. */
  readonly withPassword: PostgresSpec;
  readonly password: string;
  /** A superuser, whom no source may use. */
  readonly superuser: PostgresSpec;
  readonly #server: pg.Client;
  readonly #roles: string[];
  #pool: pg.Pool | undefined;

  private constructor(
    server: pg.Client,
    address: { readonly host: string; readonly port: number; readonly user: string },
  ) {
    const id = randomBytes(6).toString('hex');
    const database = `db_${id}`;
    this.#server = server;
    this.superuser = { kind: 'postgres', ...address, database, password: null, tls: false };
    this.spec = { ...this.superuser, user: `app_${id}` };
    this.password = randomBytes(12).toString('hex');
    this.withPassword = { ...this.superuser, user: `pw_${id}`, password: { secret: 'database_password' } };
    this.#roles = [this.spec.user, this.withPassword.user];
  }

  static async create(url: string): Promise<TestDatabase> {
    const { hostname, port, username } = new URL(url);
    const address = { host: decodeURIComponent(hostname), port: Number(port || 5432), user: username };
    const server = new pg.Client({ ...address, database: 'postgres' });
    await server.connect();
    const made = new TestDatabase(server, address);
    const { user, database } = made.spec;
    // Tests that run at the same time may all make it.
    await server.query('CREATE ROLE password').catch(() => undefined);
    await server.query(`CREATE ROLE ${user} LOGIN`);
    await server.query(`CREATE ROLE ${made.withPassword.user} LOGIN PASSWORD '${made.password}' IN ROLE password`);
    await server.query(`CREATE DATABASE ${database} OWNER ${user}`);
    made.#pool = new pg.Pool({ ...address, database, max: 2 });
    // Dropping the database ends what is idle.
    made.#pool.on('error', () => undefined);
    return made;
  }

  /** A role of its own that is a member of another. */
  async roleIn(group: string): Promise<PostgresSpec> {
    const user = `in_${this.#roles.length}_${this.spec.user}`;
    // Before anything is awaited: tests of one file run side by side.
    this.#roles.push(user);
    await this.#server.query(`CREATE ROLE ${user} LOGIN IN ROLE ${group}`);
    return { ...this.spec, user };
  }

  /** As the superuser. */
  async query(sql: string): Promise<readonly Record<string, unknown>[]> {
    return (await this.#pool?.query<Record<string, unknown>>(sql))?.rows ?? [];
  }

  /** A schema that has roles, which are the whole server's: files of tests that run at the same time apply it in turn. */
  async apply(schema: string): Promise<void> {
    await this.#server.query('SELECT pg_advisory_lock(1)');
    try {
      await this.query(schema);
    } finally {
      await this.#server.query('SELECT pg_advisory_unlock(1)');
    }
  }

  async drop(): Promise<void> {
    await this.#pool?.end();
    await this.#server.query(`DROP DATABASE IF EXISTS ${this.spec.database} WITH (FORCE)`);
    await this.#server.query(`DROP ROLE IF EXISTS ${this.#roles.join(', ')}`);
    await this.#server.end();
  }
}

/** A database with Resonate in it, where both the server and the schema are there. */
export function resonateDatabase(ava: TestFn): () => TestDatabase {
  const database = testDatabase(ava);
  ava.serial.before(async () => {
    if (SERVER !== undefined && RESONATE_SQL !== undefined) await database().apply(readFileSync(RESONATE_SQL, 'utf8'));
  });
  return database;
}

/** Makes the database before the first test of the file and drops it after the last one. */
export function testDatabase(ava: TestFn): () => TestDatabase {
  let database: TestDatabase | undefined;
  ava.serial.before(async () => {
    if (SERVER !== undefined) database = await TestDatabase.create(SERVER);
  });
  ava.after.always(() => database?.drop());
  return () => {
    if (database === undefined) throw new Error('The database of this file is not there.');
    return database;
  };
}
