/**
 * One file of the log while this process writes it.
 *
 * I1: bytes are only ever added at its end, and only by us; `foreignChange` says when that no longer holds.
 * I2: its descriptor is not closed while a sync of it is under way.
 */
import { closeSync, constants, fdatasync, fdatasyncSync, fstatSync, lstatSync, openSync, writeSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { promisify } from 'node:util';
import { syncFolderSync } from './replace-file.ts';

/** What the file asks of the operating system. */
export interface LogFileIo {
  write(descriptor: number, bytes: Buffer, offset: number): number;
  syncNow(descriptor: number): void;
  sync(descriptor: number): Promise<void>;
}

const SYSTEM_IO: LogFileIo = {
  write: (descriptor, bytes, offset) => writeSync(descriptor, bytes, offset),
  syncNow: fdatasyncSync,
  sync: promisify(fdatasync),
};

const { O_RDWR, O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

export class LogFile {
  readonly path: string;
  readonly name: string;
  readonly #io: LogFileIo;
  readonly #descriptor: number;
  readonly #device: number;
  readonly #inode: number;
  #size: number;
  #isClosed = false;
  #syncing: Promise<void> = Promise.resolve();

  private constructor(path: string, flags: number, io: LogFileIo) {
    this.path = path;
    this.name = basename(path);
    this.#io = io;
    this.#descriptor = openSync(path, O_RDWR | O_APPEND | O_NOFOLLOW | flags, 0o600);
    const { dev, ino, size } = fstatSync(this.#descriptor);
    this.#device = dev;
    this.#inode = ino;
    this.#size = size;
  }

  /** Makes a file that is not there yet. Fails with the system's error. */
  static create(path: string, io: LogFileIo = SYSTEM_IO): LogFile {
    const file = new LogFile(path, O_CREAT | O_EXCL, io);
    syncFolderSync(dirname(path));
    return file;
  }

  static continue(path: string, io: LogFileIo = SYSTEM_IO): LogFile {
    return new LogFile(path, 0, io);
  }

  get size(): number {
    return this.#size;
  }

  /** How many bytes were written, which may be fewer than asked. Fails with the system's error. */
  write(bytes: Buffer, offset: number): number {
    if (this.#isClosed) throw Object.assign(new Error(`${this.name} is closed`), { code: 'EBADF' });
    const written = this.#io.write(this.#descriptor, bytes, offset);
    this.#size += written;
    return written;
  }

  syncNow(): void {
    this.#io.syncNow(this.#descriptor);
  }

  /** Resolves when what was written before is on the disk. */
  sync(): Promise<void> {
    const syncing = this.#io.sync(this.#descriptor);
    this.#syncing = syncing.catch(() => undefined);
    return syncing;
  }

  /** What somebody else has done to the file, or null. */
  foreignChange(): string | null {
    const named = lstatSync(this.path, { throwIfNoEntry: false });
    if (named === undefined) return 'it was deleted or moved away';
    if (named.ino !== this.#inode || named.dev !== this.#device) return 'another file was put in its place';
    if (named.size < this.#size) return 'its end was cut off';
    return named.size > this.#size ? 'another program has written to it' : null;
  }

  /** Nothing is written after, as the number of the descriptor may be another file's by then. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#syncing;
    closeSync(this.#descriptor);
  }
}
