const MIB = 1024 * 1024;

export const WHEEL_LIMITS = {
  /** Of a wheel as it lies in the folder: it is read as a whole. */
  fileBytesMax: 32 * MIB,
  /** What a level's packages are when unpacked, together: each of its isolates holds all of it. */
  unpackedBytesMax: 64 * MIB,
  /** Files of one wheel; each costs every isolate about 20 µs. */
  filesMax: 10_000,
  /** More than any file system that wheels are made for takes. */
  pathLengthMax: 500,
  /** Wheels in the folder, whether they are named or not: it is listed as a whole. */
  folderFilesMax: 4096,
} as const;
