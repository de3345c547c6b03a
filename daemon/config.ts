/** What the daemon is started with. Parsed from the command line and from nothing else. */

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { DRAIN_MS_MAX } from '../client/protocol.ts';
import type { LevelName } from '../policies/policy.ts';
import type { ResonateConfig } from './durability/durability.ts';
import { LEASE_MS_MAX, LEASE_MS_MIN } from './durability/lease.ts';

export interface Config {
  readonly stateDir: string;
  /** Where what can be made again is kept, for all daemons of a user; null for nowhere. */
  readonly cacheDir: string | null;
  /** The highest level that a connection to `client.sock` may open a session at, in place of the policy's own. */
  readonly clientCeiling: LevelName | null;
  /** A folder of level files instead of those that come with the package. */
  readonly policiesDir: string | null;
  /** A folder of capabilities that the administrator brought. */
  readonly capabilitiesDir: string | null;
  /** Keep sessions in memory: they end with the daemon. */
  readonly ephemeral: boolean;
  /** The Resonate server that a group of daemons shares; null for a daemon that keeps everything on its own machine. */
  readonly resonate: ResonateConfig | null;
  /** How long what runs may go on once the daemon is told to end. */
  readonly drainMs: number;
  /** End when the standard input ends: whoever started this daemon is gone. */
  readonly untilStdinCloses: boolean;
  /** Remove the state directory at the end: this daemon is somebody's for one purpose only. */
  readonly removeStateDir: boolean;
  /** Say that the sockets are open as one line of JSON. */
  readonly readyJson: boolean;
}

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const DRAIN_MS = 10_000;
const LEASE_MS = 15_000;
const DEFAULT_GROUP = 'pyrepl3';
const USAGE =
  'usage: main serve --state-dir DIR [--cache-dir DIR] [--client-ceiling LEVEL] [--policies DIR] [--capabilities DIR] [--ephemeral] [--resonate URL [--resonate-secret-file FILE] [--group NAME] [--name NAME] [--lease-ms MS]] [--drain-ms MS] [--until-stdin-closes] [--remove-state-dir] [--ready-json]';

/** Throws a UsageError that says what is wrong with the arguments. */
export function parseConfig(args: readonly string[]): Config {
  const { values, positionals } = parse(args);
  if (positionals.length !== 1 || positionals[0] !== 'serve') throw new UsageError(USAGE);
  const stateDir = values['state-dir'];
  if (stateDir === undefined || stateDir === '')
    throw new UsageError('--state-dir DIR is needed: the folder of the sockets and of everything that is kept.');
  return {
    stateDir,
    cacheDir: values['cache-dir'] ?? null,
    clientCeiling: values['client-ceiling'] ?? null,
    policiesDir: values.policies ?? null,
    capabilitiesDir: values.capabilities ?? null,
    ephemeral: values.ephemeral ?? false,
    resonate: parseResonate(values),
    drainMs: parseDrainMs(values['drain-ms']),
    untilStdinCloses: values['until-stdin-closes'] ?? false,
    removeStateDir: values['remove-state-dir'] ?? false,
    readyJson: values['ready-json'] ?? false,
  };
}

type Values = ReturnType<typeof parse>['values'];

function parseResonate(values: Values): ResonateConfig | null {
  const { resonate: text, group = DEFAULT_GROUP, name = ownName() } = values;
  if (text === undefined) {
    for (const option of ['resonate-secret-file', 'group', 'name', 'lease-ms'] as const)
      if (values[option] !== undefined)
        throw new UsageError(`--${option} says something about --resonate URL, which is missing.`);
    return null;
  }
  if (values.ephemeral)
    throw new UsageError('--ephemeral keeps sessions in memory, and --resonate on a server: use one of them.');
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:', 'postgres:', 'postgresql:'].includes(url.protocol))
    throw new UsageError('--resonate must be an address that begins with http://, https:// or postgres://.');
  const secret = readSecret(values['resonate-secret-file']);
  const isHttp = url.protocol.startsWith('http');
  if (!isHttp && secret !== null) url.password = encodeURIComponent(secret);
  return { url: url.href, token: isHttp ? secret : null, group, name, leaseMs: parseLeaseMs(values['lease-ms']) };
}

/** Of this process alone: an earlier one of the same name might be taken for it. */
function ownName(): string {
  const host = hostname()
    .replace(/[^A-Za-z0-9_-]/g, '-')
    .slice(0, 40);
  return `${host}-${randomBytes(6).toString('hex')}`;
}

function readSecret(file: string | undefined): string | null {
  if (file === undefined) return null;
  try {
    const secret = readFileSync(file, 'utf8').trim();
    if (secret !== '') return secret;
  } catch (error) {
    throw new UsageError(`--resonate-secret-file: ${(error as Error).message}`, { cause: error });
  }
  throw new UsageError(
    `--resonate-secret-file: ${file} is empty; it holds the token of the server or the password of the database.`,
  );
}

function parseLeaseMs(text: string | undefined): number {
  if (text === undefined) return LEASE_MS;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= LEASE_MS_MIN && value <= LEASE_MS_MAX) return value;
  throw new UsageError(
    `--lease-ms must be a whole number of milliseconds from ${LEASE_MS_MIN} to ${LEASE_MS_MAX}, got ${text}`,
  );
}

function parseDrainMs(text: string | undefined): number {
  if (text === undefined) return DRAIN_MS;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value <= DRAIN_MS_MAX) return value;
  throw new UsageError(`--drain-ms must be a whole number of milliseconds from 0 to ${DRAIN_MS_MAX}, got ${text}`);
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        'state-dir': { type: 'string' },
        'cache-dir': { type: 'string' },
        'client-ceiling': { type: 'string' },
        policies: { type: 'string' },
        capabilities: { type: 'string' },
        ephemeral: { type: 'boolean' },
        resonate: { type: 'string' },
        'resonate-secret-file': { type: 'string' },
        group: { type: 'string' },
        name: { type: 'string' },
        'lease-ms': { type: 'string' },
        'drain-ms': { type: 'string' },
        'until-stdin-closes': { type: 'boolean' },
        'remove-state-dir': { type: 'boolean' },
        'ready-json': { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}
