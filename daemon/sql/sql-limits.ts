/** What bounds the databases beside the constraints of a grant. Child processes of the engine load this too, so it imports nothing. */
export const SQL_LIMITS = {
  /** Longer ones are data that belongs in parameters. */
  sqlCharsMax: 65_536,
  paramsMax: 1000,
  /** Of all parameters of a call together, as text. */
  paramsCharsMax: 4 * 1024 * 1024,
  /** SQLite runs in processes of 50 MB each, so there are few of them. */
  sqliteRunningMax: 8,
  sqliteRunningPerSourceMax: 2,
  postgresRunningMax: 32,
  /** A server has 100 connections for everybody, unless somebody raised that. */
  postgresRunningPerSourceMax: 4,
  /** So that no session keeps the others out. */
  runningPerSessionMax: 2,
  waitingMax: 256,
  waitingPerSessionMax: 32,
  /** An idle process or connection is kept for the next call. */
  idleMsMax: 30_000,
  /** A machine under load starts a process in a second. */
  startMsMax: 15_000,
  connectMsMax: 10_000,
  /** A commit is not stopped, because nobody could say then whether it happened; a disk that takes longer is broken. */
  commitMsMax: 30_000,
  /** Of a session's own database. */
  privateBytesMax: 256 * 1024 * 1024,
  /** Of one value in SQLite; what is longer cannot pass in one answer anyway. */
  valueBytesMax: 16 * 1024 * 1024,
  /** Resident memory of a process that runs SQLite; sorting and recursion happen in memory, so that they cannot fill the disk. */
  processMiBMax: 512,
  processWatchMs: 100,
  /** Of one answer of such a process, as JSON. */
  lineBytesMax: 256 * 1024 * 1024,
  /** What a database says about a statement is for people. */
  errorCharsMax: 1000,
} as const;

if (SQL_LIMITS.sqliteRunningPerSourceMax > SQL_LIMITS.sqliteRunningMax)
  throw new RangeError('one source cannot run more than all of them together');
