/**
 * What the names of secrets, variables and credentials in a policy stand for.
 *
 * I1: a value is in memory only after somebody asked for its name, and is read again half a minute later at the latest,
 * so that a secret can be replaced without a restart.
 * I2: neither a value nor where it comes from is in any message.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { Resources } from '../../policies/resources.ts';
import type { Clock } from '../clock.ts';

const SECRET_BYTES_MAX = 64 * 1024;
const KEPT_MS_MAX = 30_000;
const [CARRIAGE_RETURN, LINE_FEED] = [0x0d, 0x0a];

type SecretResources = Pick<Resources, 'secrets' | 'variables' | 'credentials'>;

export interface SecretStoreParts {
  readonly resources: SecretResources;
  /** The daemon's own. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

/** A header that the daemon adds to requests to one host; `secret` is the name to redact its value under. */
export interface Credential {
  readonly host: string;
  readonly header: string;
  readonly value: string;
  readonly secret: { readonly name: string; readonly value: string };
}

export class SecretStore {
  readonly #environment: SecretStoreParts['environment'];
  readonly #clock: SecretStoreParts['clock'];
  #resources: SecretResources;
  readonly #kept = new Map<string, { readonly value: Buffer | null; readonly atMs: number }>();

  constructor({ resources, environment, clock }: SecretStoreParts) {
    this.#resources = resources;
    this.#environment = environment;
    this.#clock = clock;
  }

  /** Another policy is in force. */
  replace(resources: SecretResources): void {
    this.#resources = resources;
    this.#kept.clear();
  }

  /**
   * The text without the newline at its end; null where there is no such secret, or it cannot be had, is empty or too
   * large.
   */
  secret(name: string): string | null {
    return this.secretBytes(name)?.toString('utf8') ?? null;
  }

  /** As `secret`, for keys that are no text. */
  secretBytes(name: string): Buffer | null {
    const nowMs = this.#clock.monotonicMs();
    const kept = this.#kept.get(name);
    if (kept !== undefined && nowMs - kept.atMs < KEPT_MS_MAX) return kept.value;
    const value = this.#read(name);
    this.#kept.set(name, { value, atMs: nowMs });
    return value;
  }

  /** Null where there is no such variable, or it is not set. */
  variable(name: string): string | null {
    const spec = this.#resources.variables.get(name);
    if (spec === undefined) return null;
    return 'value' in spec ? spec.value : (this.#environment[spec.env] ?? null);
  }

  /** Null where there is no such credential, or its secret cannot be had. */
  credential(name: string): Credential | null {
    const spec = this.#resources.credentials.get(name);
    const value = spec === undefined ? null : this.secret(spec.secret);
    if (spec === undefined || value === null) return null;
    const { host, header, prefix, secret } = spec;
    return { host, header, value: prefix + value, secret: { name: secret, value } };
  }

  #read(name: string): Buffer | null {
    const spec = this.#resources.secrets.get(name);
    if (spec === undefined) return null;
    const text = 'env' in spec ? this.#environment[spec.env] : undefined;
    const value = 'file' in spec ? readSmallFile(spec.file) : text === undefined ? null : Buffer.from(text);
    if (value === null || value.length > SECRET_BYTES_MAX) return null;
    const secret = withoutNewline(value);
    return secret.length === 0 ? null : secret;
  }
}

/** One byte more than may be, so that what is too large can be told; null where it is no file, or cannot be read. */
function readSmallFile(path: string): Buffer | null {
  let descriptor: number | undefined;
  try {
    // Opening a pipe would otherwise wait for somebody to write to it.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(descriptor).isFile()) return null;
    const buffer = Buffer.alloc(SECRET_BYTES_MAX + 1);
    let length = 0;
    let read: number;
    do {
      read = readSync(descriptor, buffer, length, buffer.length - length, null);
      length += read;
    } while (read > 0);
    return buffer.subarray(0, length);
  } catch {
    return null;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function withoutNewline(bytes: Buffer): Buffer {
  if (bytes.at(-1) !== LINE_FEED) return bytes;
  return bytes.subarray(0, bytes.at(-2) === CARRIAGE_RETURN ? -2 : -1);
}
