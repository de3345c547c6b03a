import type { ShapeGlobals, ShapeParts } from './shape.ts';

/**
 * `query`, `execute` and `transaction`: bytes in parameters and rows are Uint8Arrays. A BigInt parameter goes as its digits, which
 * is how integers beyond 2^53 come back as well.
 */
export function shapeSql({ calls, data, builtins }: ShapeParts): Record<string, ShapeGlobals> {
  const { TypeError, isArray, own, ownKeys, quote, encoding } = builtins;

  function parametersJson(parameters: unknown, what: string): string {
    if (!isArray(parameters)) throw new TypeError(`The parameters of ${what} must be an array.`);
    const { length } = parameters;
    let json = '[';
    for (let i = 0; i < length; i++) {
      const value: unknown = parameters[i];
      const bytes = typeof value === 'object' && value !== null ? encoding.bytesOf(value) : undefined;
      const where = `Parameter ${i + 1} of ${what}`;
      json += i === 0 ? '' : ',';
      if (bytes !== undefined) json += data.json(bytes);
      else json += typeof value === 'bigint' ? quote(`${value}`) : calls.json(value, where);
    }
    return `${json}]`;
  }
  const parametersArgument = (parameters: unknown, what: string): unknown =>
    parameters === undefined ? undefined : calls.encoded(parametersJson(parameters, what));

  /** Puts bytes where the answer has them as text; it was made for this call and is nobody else's. */
  function readResult(answer: unknown): unknown {
    const rows = own(answer, 'rows');
    if (!isArray(rows)) throw new TypeError('The answer holds no rows.');
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i] as Record<string, unknown>;
      if (typeof row !== 'object' || row === null) throw new TypeError('The answer holds what is no row.');
      const keys = ownKeys(row) as string[];
      for (let k = 0; k < keys.length; k++) {
        const key = keys[k] as string;
        const value = row[key];
        if (typeof own(value, 'base64') === 'string' && ownKeys(value as object).length === 1)
          row[key] = data.readBytes(value);
      }
    }
    return answer;
  }
  function readResults(answer: unknown): unknown {
    if (!isArray(answer)) throw new TypeError('The answer is no list of results.');
    for (let i = 0; i < answer.length; i++) readResult(answer[i]);
    return answer;
  }

  function statementsJson(statements: unknown): string {
    if (!isArray(statements)) throw new TypeError('transaction() takes an array of [sql, parameters] pairs.');
    const { length } = statements;
    let json = '[';
    for (let i = 0; i < length; i++) {
      const statement: unknown = statements[i];
      const what = `statement ${i + 1} of transaction()`;
      if (!isArray(statement)) throw new TypeError(`Statement ${i + 1} of transaction() must be [sql, parameters].`);
      const count = statement.length;
      const sql: unknown = statement[0];
      const parameters: unknown = count > 1 ? statement[1] : undefined;
      json += `${i === 0 ? '' : ','}[${calls.json(sql, `The text of ${what}`)}`;
      json += parameters === undefined ? ']' : `,${parametersJson(parameters, what)}]`;
    }
    return `${json}]`;
  }

  return {
    query: {
      query: (source: unknown, sql: unknown, parameters: unknown): Promise<unknown> =>
        calls.call('query', [source, sql, parametersArgument(parameters, 'query()')], readResult),
    },
    execute: {
      execute: (source: unknown, sql: unknown, parameters: unknown): Promise<unknown> =>
        calls.call('execute', [source, sql, parametersArgument(parameters, 'execute()')], readResult),
    },
    transaction: {
      transaction: (source: unknown, statements: unknown): Promise<unknown> =>
        calls.call('transaction', [source, calls.encoded(statementsJson(statements))], readResults),
    },
  };
}
