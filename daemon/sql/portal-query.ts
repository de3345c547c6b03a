/**
 * One statement by PostgreSQL's extended protocol, which takes no second one: parse, bind, and an execute that asks for one row
 * more than may be delivered, so that the server stops there.
 *
 * I1: settles exactly once, after the server is ready for the next statement, or with the error that ended it.
 */
import type { Connection, Submittable } from 'pg';
import { jsonOfText, wireValueOf } from './postgres-values.ts';
import { CapPassed, distinctNames, type ResultMeter, rowOf } from './result-rows.ts';
import type { SqlResult, SqlRow, SqlStatement } from './sql-call.ts';

/** What pg's connection takes; the published types are those of an older one. */
interface ExtendedProtocol {
  parse(query: { readonly text: string }): void;
  bind(config: { readonly values: readonly (string | Buffer | null)[] }): void;
  describe(message: { readonly type: 'P'; readonly name: string }): void;
  execute(config: { readonly rows: number }): void;
  sync(): void;
  sendCopyFail(reason: string): void;
  readonly stream: Connection['stream'];
}

interface RowDescription {
  readonly fields: readonly { readonly name: string; readonly dataTypeID: number }[];
}

/** Commands whose tag ends with the number of rows that they changed. */
const CHANGING = /^(?:INSERT \d+|UPDATE|DELETE|MERGE) (\d+)$/;

export class PortalQuery implements Submittable {
  readonly result: Promise<SqlResult>;
  readonly #statement: SqlStatement;
  readonly #meter: ResultMeter;
  #resolve!: (result: SqlResult) => void;
  #reject!: (error: unknown) => void;
  #columns: readonly string[] = [];
  #types: readonly number[] = [];
  readonly #rows: SqlRow[] = [];
  #changes = 0;
  #failed = false;

  constructor(statement: SqlStatement, meter: ResultMeter) {
    this.#statement = statement;
    this.#meter = meter;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  submit(connection: Connection): void {
    const protocol = connection as unknown as ExtendedProtocol;
    protocol.stream.cork();
    protocol.parse({ text: this.#statement.sql });
    protocol.bind({ values: this.#statement.params.map(wireValueOf) });
    protocol.describe({ type: 'P', name: '' });
    protocol.execute({ rows: this.#meter.rowsLeft + 1 });
    protocol.sync();
    protocol.stream.uncork();
  }

  handleRowDescription({ fields }: RowDescription): void {
    this.#columns = distinctNames(fields.map(({ name }) => name));
    this.#types = fields.map(({ dataTypeID }) => dataTypeID);
  }

  /** What is thrown here would be thrown at the socket. */
  handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
    if (this.#failed) return;
    try {
      const row = rowOf(
        this.#columns,
        fields.map((text, index) => jsonOfText(this.#types[index] ?? 0, text)),
      );
      this.#meter.count(row);
      this.#rows.push(row);
    } catch (error) {
      this.handleError(error);
    }
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    this.#changes = Number(CHANGING.exec(text)?.[1] ?? 0);
  }

  handleReadyForQuery(): void {
    this.#resolve({ columns: this.#columns, rows: this.#rows, changes: this.#changes, lastId: null });
  }

  handleError(error: unknown): void {
    this.#failed = true;
    this.#reject(error);
  }

  handlePortalSuspended(): void {
    this.handleError(new CapPassed('rows'));
  }

  handleEmptyQuery(): void {
    // The server says so for a text without a statement, which never comes this far; the result is empty then.
  }

  handleCopyInResponse(connection: Connection): void {
    (connection as unknown as ExtendedProtocol).sendCopyFail('COPY is not allowed');
  }

  handleCopyData(): void {
    // Not asked for.
  }
}
