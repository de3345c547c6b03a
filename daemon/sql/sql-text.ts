/** As much of SQL's lexical rules as it takes to find the first word of a statement; in time proportional to the text. */

export interface CommentRules {
  /** PostgreSQL's comments can hold comments; SQLite's end at the first end. */
  readonly nested: boolean;
}

/** Where the first thing stands that is neither space, nor comment, nor an empty statement. */
export function skipBlank(sql: string, { nested }: CommentRules): number {
  let at = 0;
  for (;;) {
    while (at < sql.length && ' \t\n\r\f\v;'.includes(sql.charAt(at))) at++;
    if (sql.startsWith('--', at)) {
      while (at < sql.length && sql[at] !== '\n' && sql[at] !== '\r') at++;
    } else if (sql.startsWith('/*', at)) {
      at = endOfComment(sql, at, nested);
    } else {
      return at;
    }
  }
}

function endOfComment(sql: string, start: number, nested: boolean): number {
  let depth = 0;
  let at = start;
  while (at < sql.length) {
    if (sql.startsWith('*/', at)) {
      at += 2;
      if (--depth === 0) return at;
    } else if (sql.startsWith('/*', at) && (nested || depth === 0)) {
      at += 2;
      depth++;
    } else {
      at++;
    }
  }
  return at;
}

/** The first word in upper case, or the character that stands in its place; empty for a text without a statement. */
export function leadingKeyword(sql: string, rules: CommentRules): string {
  const at = skipBlank(sql, rules);
  const word = /[A-Za-z_]+/y;
  word.lastIndex = at;
  return (word.exec(sql)?.[0] ?? sql.charAt(at)).toUpperCase();
}
