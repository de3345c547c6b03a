import type { GuestBuiltins } from '../builtins.ts';
import type { ByteSource, GuestStreams } from './streams.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/** What is received chunk by chunk. */
export interface Reading {
  /** Asks for the next chunk, and whether it is the last. */
  read(done: (chunk: Bytes, last: boolean) => void, failed: (error: unknown) => void): void;
  /** Nobody wants the rest. Not called once the last chunk has come. */
  cancel(): void;
}

/** A body that is there, and may be read once. */
export interface Body {
  readonly isUsed: () => boolean;
  /** The stream of what is in it, always the same one. */
  readonly stream: () => object;
  /** @throws TypeError where it was read, or is being read */
  readonly clone: () => Body;
  /** Hands its content over to a new body; this one is used up. @throws TypeError as `clone` does */
  readonly move: () => Body;
  /** Reads all of it. A body that was read, or is being read, fails. */
  readonly readAll: (done: (bytes: Bytes) => void, failed: (error: unknown) => void) => void;
}

export interface GuestBodies {
  readonly ofBytes: (bytes: Bytes) => Body;
  readonly ofStream: (stream: object) => Body;
  /** `fail` makes reading fail from now on, in clones as well. */
  readonly ofReading: (first: Bytes, last: boolean, reading: Reading) => { body: Body; fail: (error: unknown) => void };
}

/**
 * Bodies of requests and responses. As long as nobody asks for the stream of a body it is read without one.
 *
 * I1: what is received is asked for once, and only when somebody wants it; clones share it through a list of chunks, of which
 *     those are kept that some clone has not read.
 * I2: what is received is cancelled when the last of its readers cancels.
 */
export function makeBodies(builtins: GuestBuiltins, streams: GuestStreams): GuestBodies {
  const { TypeError, Uint8Array, setBytes, setPrototypeOf, lengthOf } = builtins;
  const newList = <T>(): T[] => setPrototypeOf([], null) as T[];

  /** One chunk, or the end where `bytes` is null, or what is still to come where it is undefined. */
  interface Link {
    bytes: Bytes | null | undefined;
    next: Link | undefined;
    wanted: { readonly done: (link: Link) => void; readonly failed: (error: unknown) => void }[];
  }
  interface Tape {
    readonly reading: Reading | undefined;
    last: Link;
    /** How many may still read from it. */
    readers: number;
    failure: { readonly error: unknown } | undefined;
  }
  const newLink = (bytes: Link['bytes']): Link => ({ bytes, next: undefined, wanted: newList() });

  /** The chunk has come, and after it the end, or a link for the next one. */
  function fill(tape: Tape, bytes: Bytes, last: boolean): void {
    const link = tape.last;
    const { wanted } = link;
    link.wanted = newList();
    if (lengthOf(bytes) === 0 && last) link.bytes = null;
    else if (lengthOf(bytes) > 0) {
      link.bytes = bytes;
      link.next = tape.last = newLink(last ? null : undefined);
    }
    if (link.bytes === undefined)
      for (let i = 0; i < wanted.length; i++) want(tape, link, wanted[i] as Link['wanted'][0]);
    else for (let i = 0; i < wanted.length; i++) wanted[i]?.done(link);
  }
  function fail(tape: Tape, error: unknown): void {
    if (tape.failure !== undefined) return;
    tape.failure = { error };
    const { wanted } = tape.last;
    tape.last.wanted = newList();
    for (let i = 0; i < wanted.length; i++) wanted[i]?.failed(error);
  }
  function want(tape: Tape, link: Link, who: Link['wanted'][0]): void {
    if (tape.failure !== undefined) who.failed(tape.failure.error);
    else if (link.bytes !== undefined) who.done(link);
    else {
      link.wanted[link.wanted.length] = who;
      if (link.wanted.length === 1)
        tape.reading?.read(
          (bytes, last) => fill(tape, bytes, last),
          (error) => fail(tape, error),
        );
    }
  }
  function cancelTape(tape: Tape): void {
    if (--tape.readers === 0 && tape.last.bytes === undefined && tape.failure === undefined) tape.reading?.cancel();
  }

  function sourceOf(tape: Tape, start: Link): ByteSource & { readonly position: () => Link } {
    let position = start;
    let cancelled = false;
    return {
      position: () => position,
      pull(done, failed) {
        const take = (link: Link): void => {
          position = link.next ?? link;
          done(link.bytes as Bytes | null);
        };
        want(tape, position, { done: take, failed });
      },
      cancel() {
        if (!cancelled) cancelTape(tape);
        cancelled = true;
      },
    };
  }

  function drain(source: ByteSource, done: (bytes: Bytes) => void, failed: (error: unknown) => void): void {
    const chunks = newList<Bytes>();
    let size = 0;
    let pulling = false;
    let more = true;
    const finish = (): void => {
      // A chunk may be shared with a clone, so what a guest is given is a copy.
      const all = new Uint8Array(size);
      let at = 0;
      for (let i = 0; i < chunks.length; i++) {
        setBytes(all, chunks[i] as Bytes, at);
        at += lengthOf(chunks[i] as Bytes);
      }
      done(all);
    };
    // A source may answer at once, and a long one must not fill the stack.
    const pull = (): void => {
      pulling = true;
      while (more) {
        more = false;
        source.pull((bytes) => {
          if (bytes === null) {
            finish();
            return;
          }
          chunks[chunks.length] = bytes;
          size += lengthOf(bytes);
          more = true;
          if (!pulling) pull();
        }, failed);
      }
      pulling = false;
    };
    pull();
  }

  const unusable = (): Error => new TypeError('The body was read already, or is being read.');

  function ofStream(given: object): Body {
    let stream = given;
    let moved = false;
    const isUsable = (): boolean => !(moved || streams.isDisturbed(stream) || streams.isLocked(stream));
    return {
      isUsed: () => moved || streams.isDisturbed(stream),
      stream: () => stream,
      clone() {
        if (!isUsable()) throw unusable();
        const branches = streams.tee(stream);
        stream = branches[0];
        return ofStream(branches[1]);
      },
      move() {
        if (!isUsable()) throw unusable();
        moved = true;
        return ofStream(stream);
      },
      readAll(done, failed) {
        if (isUsable()) drain(streams.toSource(stream), done, failed);
        else failed(unusable());
      },
    };
  }

  function ofTape(tape: Tape, start: Link): Body {
    tape.readers++;
    const source = sourceOf(tape, start);
    let used = false;
    let stream: object | undefined;
    const isUsable = (): boolean =>
      !used && (stream === undefined || !(streams.isDisturbed(stream) || streams.isLocked(stream)));
    return {
      isUsed: () => used || (stream !== undefined && streams.isDisturbed(stream)),
      stream() {
        if (stream === undefined) {
          stream = streams.fromSource(source);
          if (used) streams.take(stream);
        }
        return stream;
      },
      clone() {
        if (!isUsable()) throw unusable();
        return ofTape(tape, source.position());
      },
      move() {
        if (!isUsable()) throw unusable();
        used = true;
        if (stream !== undefined) streams.take(stream);
        const copy = ofTape(tape, source.position());
        source.cancel();
        return copy;
      },
      readAll(done, failed) {
        if (!isUsable()) {
          failed(unusable());
          return;
        }
        used = true;
        if (stream === undefined || streams.take(stream)) drain(source, done, failed);
        else drain(streams.toSource(stream), done, failed);
      },
    };
  }

  return {
    ofStream,
    ofBytes(bytes) {
      const start = newLink(lengthOf(bytes) === 0 ? null : bytes);
      const end = lengthOf(bytes) === 0 ? start : newLink(null);
      if (end !== start) start.next = end;
      return ofTape({ reading: undefined, last: end, readers: 0, failure: undefined }, start);
    },
    ofReading(first, last, reading) {
      const start = newLink(undefined);
      const tape: Tape = { reading, last: start, readers: 0, failure: undefined };
      if (lengthOf(first) > 0 || last) fill(tape, first, last);
      return {
        body: ofTape(tape, start),
        fail(error) {
          const open = tape.last.bytes === undefined && tape.failure === undefined;
          fail(tape, error);
          if (open) reading.cancel();
        },
      };
    },
  };
}
