/** The tables of the durable store. A new version adds a migration; none is ever edited once it was released. */

/**
 * - `session`: what a session was made with, as JSON of `StoredSession`, its newest row in `log`, and where nothing of it is under
 *   way, since when, in milliseconds since the epoch.
 * - `log`: what happened, in the order in which it was committed: one row for each session in a commit, JSON of `LogRow`. Rows of
 *   all sessions stand one behind the other, so that a commit writes to the end of the table and nowhere else; `previous` is the
 *   row of the same session before, 0 for the first.
 * - `heads`: the newest row that the `newest` of sessions knows of; later rows are looked through at the start.
 * - `resonate`: the promises of the embedded Resonate server, each with its task; `finished` is when nothing was left to happen.
 */
const VERSION_1 = `
  CREATE TABLE session (
    session INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    newest INTEGER NOT NULL DEFAULT 0,
    asleep INTEGER,
    state TEXT NOT NULL
  ) STRICT;
  CREATE TABLE log (
    number INTEGER PRIMARY KEY,
    session INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    row TEXT NOT NULL
  ) STRICT;
  CREATE TABLE heads (
    only INTEGER PRIMARY KEY CHECK (only = 0),
    number INTEGER NOT NULL
  ) STRICT;
  INSERT INTO heads (only, number) VALUES (0, 0);
  CREATE TABLE resonate (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    promise TEXT NOT NULL,
    task TEXT,
    finished INTEGER
  ) STRICT;
  CREATE INDEX resonate_live ON resonate (number) WHERE finished IS NULL;
  CREATE INDEX resonate_finished ON resonate (finished) WHERE finished IS NOT NULL;
`;

/** - `image`: the state of sessions as data, from which they go on; the log says which of them is of use. */
const VERSION_2 = `
  CREATE TABLE image (
    session INTEGER NOT NULL,
    number INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    UNIQUE (session, number)
  ) STRICT;
`;

export const MIGRATIONS: readonly string[] = [VERSION_1, VERSION_2];
