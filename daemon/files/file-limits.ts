/** What every use of files is held to, whatever the level grants. */
export const FILE_LIMITS = {
  /** Linux's own longest path. */
  pathBytesMax: 4096,
  /** Linux's own longest name. */
  nameBytesMax: 255,
  /** Deeper than people nest folders; each level costs a walk one more descriptor at a time and two more system calls. */
  depthMax: 64,
  /** Node has four threads for files, name look-ups and cryptography together; one stays free when file systems hang. */
  operationsAtOnceMax: 3,
  /** One root on a dead network mount leaves a thread to the other roots. */
  operationsPerRootMax: 2,
  /** Those that wait for a thread hold what they are to write in memory. */
  operationsWaitingMax: 1024,
  /** A healthy disk needs milliseconds; after this long the mount is dead for the one who waits. */
  operationMsMax: 30_000,
  /** Between two pieces of a read or a write it is seen whether the session is still there. */
  pieceBytes: 1024 * 1024,
  /** What one answer lists at most, whatever the level says: an entry is a few hundred bytes of JSON. */
  pageEntriesMax: 10_000,
  /** The names of one directory that are read for one answer; they are sorted in memory. */
  directoryNamesMax: 100_000,
} as const;
