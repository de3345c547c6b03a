/**
 * One PostgreSQL database, and the few connections to it.
 *
 * I1: a call has a connection to itself, and a transaction: READ ONLY for `read`, committed at the end for `write`.
 * I2: a connection is used again only after everything that a session can set on it was discarded; any doubt ends it.
 * I3: no role that could leave the database (superuser, makers of roles, server files, server programs, replication) is used.
 * I4: what a statement sends is counted on the wire, so no answer fills the memory before it is refused.
 */
import { connect as connectSocket, type NetConnectOpts } from 'node:net';
import pg from 'pg';
import { Fault } from '../fault.ts';
import { PortalQuery } from './portal-query.ts';
import { postgresRefusal } from './postgres-statements.ts';
import { CapPassed, ResultMeter } from './result-rows.ts';
import type { SqlCaps, SqlMode, SqlResult, SqlStatement } from './sql-call.ts';
import { capFault, inDoubt, interruptedCall, refusedStatement, sqlFault, timedOut, unreachable } from './sql-faults.ts';
import { SQL_LIMITS } from './sql-limits.ts';

export interface PostgresAddress {
  /** A name, an address, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly tls: boolean;
}

export interface PostgresCall {
  readonly mode: SqlMode;
  readonly statements: readonly SqlStatement[];
  readonly caps: SqlCaps;
  readonly signal: AbortSignal;
}

/** Texts come in forms that do not depend on how the server is set up; a guest who changes that only changes it for itself. */
const SETTINGS = `SET LOCAL datestyle = 'ISO'; SET LOCAL timezone = 'UTC'; SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1`;

/** Whether the role can do more than use databases, as itself or by becoming another. */
const IS_POWERFUL = `SELECT EXISTS (
  SELECT FROM pg_catalog.pg_roles WHERE pg_catalog.pg_has_role(session_user, oid, 'MEMBER') AND (rolsuper OR rolcreaterole
    OR rolreplication OR rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program'))) AS powerful`;

/** Bytes travel as hex, and rows have a frame each; TCP hands over in pieces of this size. */
const WIRE_FACTOR = 2;
const WIRE_SLACK_BYTES = 256 * 1024;

const INT_MAX = 2 ** 31 - 1;

export class PostgresSource {
  readonly #name: string;
  readonly #address: PostgresAddress;
  readonly #pool: pg.Pool;
  readonly #checked = new WeakSet<pg.PoolClient>();

  /** @param password asked for at each connection; null where the server asks for none */
  constructor(name: string, address: PostgresAddress, password: () => string | null) {
    this.#name = name;
    this.#address = address;
    this.#pool = new pg.Pool({
      ...address,
      ssl: address.tls,
      // As a function, because without one the driver would look in the daemon's environment and in ~/.pgpass.
      password: () => password() ?? '',
      application_name: 'pyrepl3',
      max: SQL_LIMITS.postgresRunningPerSourceMax,
      idleTimeoutMillis: SQL_LIMITS.idleMsMax,
      connectionTimeoutMillis: SQL_LIMITS.connectMsMax,
      allowExitOnIdle: true,
    });
    // An idle connection that breaks has left the pool by itself.
    this.#pool.on('error', () => undefined);
  }

  close(): Promise<void> {
    return this.#pool.ending ? Promise.resolve() : this.#pool.end();
  }

  /** Fails with a Fault. */
  async run(call: PostgresCall): Promise<readonly SqlResult[]> {
    for (const { sql } of call.statements) {
      const refusal = postgresRefusal(sql, call.mode);
      if (refusal !== null) throw refusedStatement(refusal);
    }
    const client = await this.#connect();
    const run = new PostgresRun(this.#name, this.#address, client, call);
    let isClean = false;
    try {
      const results = await run.statements();
      isClean = true;
      return results;
    } catch (error) {
      isClean = run.endedInOrder;
      throw error;
    } finally {
      // Not awaited by whoever asked: the answer is there.
      void this.#release(client, isClean);
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    let client: pg.PoolClient;
    try {
      client = await this.#pool.connect();
    } catch (error) {
      throw unreachable(this.#name, error);
    }
    // Without a listener, a connection that breaks while it is in use would end the daemon.
    if (client.listenerCount('error') === 0) client.on('error', () => undefined);
    if (this.#checked.has(client)) return client;
    try {
      const { rows } = await client.query<{ powerful: boolean }>(IS_POWERFUL);
      if (rows[0]?.powerful !== false) {
        throw new Fault(
          'EFFECT_FAILED',
          `The data source "${this.#name}" is set up with a role that can do more than use the database; the administrator has to give it another.`,
          { reason: 'refused' },
        );
      }
    } catch (error) {
      client.release(true);
      throw error instanceof Fault ? error : unreachable(this.#name, error);
    }
    this.#checked.add(client);
    return client;
  }

  async #release(client: pg.PoolClient, isClean: boolean): Promise<void> {
    if (isClean) {
      try {
        await client.query('DISCARD ALL');
        client.release();
        return;
      } catch {
        // It cannot be used again.
      }
    }
    client.release(true);
  }
}

type Stop = 'time' | 'interrupted' | 'bytes';

/** One call on one connection. */
class PostgresRun {
  readonly #source: string;
  readonly #address: PostgresAddress;
  readonly #client: pg.PoolClient;
  readonly #call: PostgresCall;
  #stop: Stop | null = null;
  /** The transaction is over and the server waits for the next one. */
  endedInOrder = false;

  constructor(source: string, address: PostgresAddress, client: pg.PoolClient, call: PostgresCall) {
    this.#source = source;
    this.#address = address;
    this.#client = client;
    this.#call = call;
  }

  async statements(): Promise<readonly SqlResult[]> {
    const { mode, caps, signal } = this.#call;
    if (signal.aborted) throw interruptedCall();
    const timer = setTimeout(() => this.#end('time'), caps.timeMsMax);
    const onAbort = (): void => this.#end('interrupted');
    signal.addEventListener('abort', onAbort);
    const uncount = this.#countWire();
    try {
      const results = await this.#transaction();
      if (mode === 'read') await this.#client.query('ROLLBACK');
      else if (this.#client.getTransactionStatus() !== 'T')
        throw refusedStatement('The statement ended its transaction.');
      if (this.#stop !== null) throw new Error('stopped');
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      if (mode === 'write') await this.#commit();
      return results;
    } catch (error) {
      throw await this.#faultOf(error);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      uncount();
    }
  }

  async #transaction(): Promise<SqlResult[]> {
    const { mode, caps, statements } = this.#call;
    // The server's own limit is for the case that we cannot reach it to say stop.
    await this.#client.query(
      `BEGIN ${mode === 'read' ? 'READ ONLY' : 'READ WRITE'}; ${SETTINGS}; SET LOCAL statement_timeout = ${Math.min(caps.timeMsMax + 1000, INT_MAX)}`,
    );
    const meter = new ResultMeter(caps);
    const results: SqlResult[] = [];
    for (const statement of statements)
      results.push(await this.#client.query(new PortalQuery(statement, meter)).result);
    return results;
  }

  async #commit(): Promise<void> {
    const timer = setTimeout(() => this.#client.connection.stream.destroy(), SQL_LIMITS.commitMsMax);
    try {
      await this.#client.query('COMMIT');
    } catch (error) {
      throw isAnswer(error) ? error : inDoubt(this.#source);
    } finally {
      clearTimeout(timer);
    }
  }

  #countWire(): () => void {
    const { stream } = this.#client.connection;
    const max = this.#call.caps.bytesMax * WIRE_FACTOR + WIRE_SLACK_BYTES;
    let received = 0;
    const count = (chunk: Buffer): void => {
      received += chunk.length;
      if (received > max) this.#end('bytes');
    };
    stream.on('data', count);
    return () => stream.off('data', count);
  }

  /** Tells the server to stop, and ends the connection without waiting for what it says. */
  #end(stop: Stop): void {
    if (this.#stop !== null) return;
    this.#stop = stop;
    requestCancel(this.#address, this.#client);
    this.#client.connection.stream.destroy();
  }

  async #faultOf(error: unknown): Promise<Fault> {
    const { caps } = this.#call;
    if (this.#stop === 'time') return timedOut(caps);
    if (this.#stop === 'interrupted') return interruptedCall();
    if (this.#stop === 'bytes') return capFault('bytes', caps);
    if (error instanceof CapPassed) {
      this.#end('bytes');
      return capFault(error.cap, caps);
    }
    if (error instanceof Fault) return error;
    if (!isAnswer(error)) return unreachable(this.#source, error);
    // A statement that failed leaves a transaction that can only be rolled back.
    this.endedInOrder = await this.#client.query('ROLLBACK').then(
      () => true,
      () => false,
    );
    if (error.code === '57014') return timedOut(caps);
    return sqlFault(error.message, { sqlState: error.code });
  }
}

/**
 * The server answered with an error about the statement. Told by the code, because the severity is in the server's language:
 * 57P and 08 are about the connection, except 08P01, which is what a wrong number of parameters is called.
 */
function isAnswer(error: unknown): error is pg.DatabaseError & { code: string } {
  return error instanceof pg.DatabaseError && !/^(?:57P|08(?!P01))/.test(error.code ?? '08');
}

/**
 * The protocol's CancelRequest: a connection of its own that says nothing else and is answered by its end (PostgreSQL
 * documentation, "Canceling Requests in Progress").
 */
function requestCancel({ host, port }: PostgresAddress, client: pg.PoolClient): void {
  const { processID, secretKey } = client as unknown as { processID: number | null; secretKey: number | null };
  if (processID === null || secretKey === null) return;
  const request = Buffer.alloc(16);
  request.writeInt32BE(16, 0);
  request.writeInt32BE(80_877_102, 4);
  request.writeInt32BE(processID, 8);
  request.writeInt32BE(secretKey, 12);
  const to: NetConnectOpts = host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port };
  const socket = connectSocket(to);
  socket.setTimeout(SQL_LIMITS.connectMsMax, () => socket.destroy());
  socket.on('error', () => undefined);
  socket.end(request);
  socket.unref();
}
