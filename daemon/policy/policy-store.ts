/**
 * Owns the policy in force.
 *
 * I1: all or nothing: another policy takes effect as a whole, after every file of it was read, parsed and accepted.
 * I2: what cannot be used changes nothing: the policy in force stays, and the log says what is wrong.
 * I3: another policy is in the audit log before it takes effect; where it cannot be recorded, it does not take effect.
 * I4: only `apply` writes, to the folder that its source names for that, and never into the package.
 */
import { createHash } from 'node:crypto';
import type { FaultCode } from '../../client/protocol.ts';
import { BUILT_IN, type Catalogue } from '../../policies/capabilities.ts';
import type { PolicyProblem } from '../../policies/check.ts';
import { diffPolicies, type PolicyChange, WHOLE_POLICY } from '../../policies/diff.ts';
import { type PolicyFile, parsePolicy } from '../../policies/parse.ts';
import type { Policy } from '../../policies/policy.ts';
import type { Audit } from '../audit/audit-log.ts';
import { Fault } from '../fault.ts';
import { NO_PACKAGES, type PackageReading, type Packages, wheelChanges } from '../packages/packages.ts';
import { wheelsFingerprint } from '../packages/wheel-folder.ts';
import { FolderWatch } from './folder-watch.ts';
import { FILE_NAME, fingerprint, readPolicyFolder, replacePolicyFolder } from './policy-folder.ts';
import { boundedProblems, describeProblems, problemLines } from './policy-problems.ts';
import type { PolicySource } from './policy-source.ts';

export interface PolicyUpdate {
  readonly policy: Policy;
  readonly previous: Policy;
  readonly packages: PackageReading;
  /** The administrator gives sessions that exist already what their level grants now. */
  readonly widenRunning: boolean;
}

export interface PolicyStoreParts {
  readonly source: PolicySource;
  readonly catalogue?: Catalogue;
  readonly audit: Pick<Audit, 'append' | 'note'>;
  readonly log: (line: string) => void;
  /** Looks at what a policy names on this machine; throws a Fault where that cannot be used. */
  readonly accept?: (policy: Policy) => void;
  /** Reads the wheels that a policy names. */
  readonly packages?: Pick<Packages, 'read'>;
  /** How long a folder has to rest before it is read, and how often it is looked at where the system tells of no change. */
  readonly watch?: { readonly restMs: number; readonly pollMs: number };
}

export interface ApplyOptions {
  /** Who: the principal of a connection. */
  readonly by: string;
  readonly widenRunning?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
}

export interface Applied {
  readonly hash: string;
  readonly previousHash: string;
  readonly changes: readonly PolicyChange[];
}

/** Files that are a policy. */
interface Candidate {
  readonly files: readonly PolicyFile[];
  readonly hash: string;
  readonly policy: Policy;
  readonly packages: PackageReading;
}

const NO_POLICY = 'These files are no policy';
const WATCH = { restMs: 250, pollMs: 2000 };
/** Of one record. */
const CHANGES_RECORDED_MAX = 50;

export class PolicyStore {
  readonly catalogue: Catalogue;
  readonly #parts: PolicyStoreParts;
  readonly #listeners = new Set<(update: PolicyUpdate) => void>();
  #source: PolicySource;
  #inForce: Candidate;
  #watch: FolderWatch | undefined;
  /** Of the policy that was read last, whether or not it came into force. */
  #wheelFolder: string | null = null;
  /** What was last said to be wrong with the folder, so that it is said once. */
  #rejected = '';

  /** Fails with UNAVAILABLE and every problem: a daemon without a whole policy does not start. */
  static open(parts: PolicyStoreParts): PolicyStore {
    const store = new PolicyStore(parts);
    store.#watchFolder();
    return store;
  }

  private constructor(parts: PolicyStoreParts) {
    this.#parts = parts;
    this.#source = parts.source;
    this.catalogue = parts.catalogue ?? BUILT_IN;
    const { folder } = parts.source;
    this.#inForce = this.#candidate(readPolicyFolder(folder, parts.source), 'UNAVAILABLE', this.#unusable);
    parts.accept?.(this.current);
    parts.audit.append('policy.applied', { hash: this.hash, previousHash: null, by: 'start', changes: [] });
  }

  get current(): Policy {
    return this.#inForce.policy;
  }

  /** Of the files of the policy in force. */
  get hash(): string {
    return this.#inForce.hash;
  }

  /** Of the policy in force. */
  get packages(): PackageReading {
    return this.#inForce.packages;
  }

  get files(): readonly PolicyFile[] {
    return this.#inForce.files;
  }

  /** Where the policy comes from. */
  get folder(): string {
    return this.#source.folder;
  }

  /** Calls the listener after another policy has taken effect, until the returned function is called. */
  subscribe(listener: (update: PolicyUpdate) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** These files as a policy. Fails with POLICY_INVALID, whose details hold every problem with its place. */
  parse(files: readonly PolicyFile[]): Policy {
    return parsed(files, this.catalogue, 'POLICY_INVALID', NO_POLICY);
  }

  /** What is wrong with these files as a policy of this machine. */
  problemsOf(files: readonly PolicyFile[]): readonly PolicyProblem[] {
    const reading = parsePolicy(files, this.catalogue);
    return reading.ok ? this.#readPackages(reading.policy).problems : reading.problems;
  }

  #readPackages(policy: Policy): PackageReading {
    return this.#parts.packages?.read(policy) ?? NO_PACKAGES;
  }

  /**
   * Puts these files in force and writes them to the folder; in a dry run it only says what would change. Fails with POLICY_INVALID
   * where they are no policy, and with UNAVAILABLE where they cannot be recorded or written; then nothing has changed.
   */
  apply(files: readonly PolicyFile[], { by, widenRunning = false, dryRun = false }: ApplyOptions): Applied {
    checkNames(files);
    const next = this.#candidate(files, 'POLICY_INVALID', NO_POLICY);
    this.#parts.accept?.(next.policy);
    const previousHash = this.hash;
    const changes = this.#changesTo(next);
    if (dryRun) return { hash: next.hash, previousHash, changes };
    this.#record(next, by, widenRunning, changes);
    try {
      replacePolicyFolder(this.#source.applyTo, files);
    } catch (error) {
      this.#reject(by, [(error as Error).message]);
      throw error;
    }
    this.#source = { folder: this.#source.applyTo, applyTo: this.#source.applyTo, checkModes: true };
    this.#watchFolder();
    this.#putInForce(next, widenRunning);
    return { hash: next.hash, previousHash, changes };
  }

  close(): void {
    this.#watch?.close();
    this.#listeners.clear();
  }

  #watchFolder(): void {
    this.#watch?.close();
    this.#watch = new FolderWatch(
      this.#source.folder,
      this.#parts.watch ?? WATCH,
      (isAtRest) => this.#reload(isAtRest),
      () => `${fingerprint(this.#source.folder)}\n${wheelsFingerprint(this.#wheelFolder)}`,
    );
  }

  /** Answers whether the folder, as it is now, is dealt with; otherwise it is tried again. */
  #reload(isAtRest: () => boolean): boolean {
    let next: Candidate;
    try {
      const files = readPolicyFolder(this.#source.folder, this.#source);
      if (!isAtRest()) return false;
      next = this.#candidate(files, 'POLICY_INVALID', this.#unusable);
      if (next.hash === this.hash && this.#changesTo(next).length === 0) {
        this.#rejected = '';
        return true;
      }
      this.#parts.accept?.(next.policy);
    } catch (error) {
      this.#rejectFolder(error as Error);
      return true;
    }
    try {
      this.#record(next, 'reload', false, this.#changesTo(next));
    } catch (error) {
      this.#rejectFolder(error as Error);
      return false;
    }
    this.#putInForce(next, false);
    return true;
  }

  #changesTo({ policy, packages }: Candidate): readonly PolicyChange[] {
    return [...diffPolicies(this.current, policy, this.catalogue), ...wheelChanges(this.#inForce.packages, packages)];
  }

  #rejectFolder(error: Error): void {
    if (this.#rejected === error.message) return;
    this.#rejected = error.message;
    this.#parts.log(`${error.message}\nThe policy before it (${this.hash.slice(0, 12)}) stays in force.`);
    this.#reject('reload', error instanceof Fault ? problemLines(error) : [error.message]);
  }

  #reject(by: string, problems: readonly string[]): void {
    this.#parts.audit.note('policy.rejected', { by, problems: problems.slice(0, CHANGES_RECORDED_MAX) });
  }

  #record(next: Candidate, by: string, widenRunning: boolean, changes: readonly PolicyChange[]): void {
    const words = changes
      .slice(0, CHANGES_RECORDED_MAX)
      .map(({ level, words: what }) => (level === WHOLE_POLICY ? what : `${level}: ${what}`));
    const more = changes.length - words.length;
    const recorded = [
      ...(widenRunning ? ['sessions that exist already are given what their levels grant now'] : []),
      ...words,
      ...(more > 0 ? [`${more} more changes`] : []),
    ];
    this.#parts.audit.append('policy.applied', { hash: next.hash, previousHash: this.hash, by, changes: recorded });
  }

  #putInForce(next: Candidate, widenRunning: boolean): void {
    const previous = this.current;
    this.#inForce = next;
    this.#rejected = '';
    for (const listener of this.#listeners) {
      try {
        listener({ policy: next.policy, previous, packages: next.packages, widenRunning });
      } catch (error) {
        // The policy is in force whatever a listener makes of it.
        this.#parts.log(`after the policy changed: ${error instanceof Error ? error.stack : String(error)}`);
      }
    }
  }

  get #unusable(): string {
    return `The policy in ${this.folder} cannot be used`;
  }

  #candidate(files: readonly PolicyFile[], code: FaultCode, what: string): Candidate {
    const policy = parsed(files, this.catalogue, code, what);
    this.#wheelFolder = policy.resources.packages?.path ?? null;
    const packages = this.#readPackages(policy);
    if (packages.problems.length > 0) throw invalid(packages.problems, code, what);
    return { files, hash: hashOf(files), policy, packages };
  }
}

function parsed(files: readonly PolicyFile[], catalogue: Catalogue, code: FaultCode, what: string): Policy {
  const reading = parsePolicy(files, catalogue);
  if (reading.ok) return reading.policy;
  throw invalid(reading.problems, code, what);
}

function invalid(problems: readonly PolicyProblem[], code: FaultCode, what: string): Fault {
  return new Fault(code, `${what}:\n${describeProblems(problems)}`, { problems: boundedProblems(problems) });
}

/** What is not named as policy files are would not be read again after a restart. */
function checkNames(files: readonly PolicyFile[]): void {
  const names = new Set<string>();
  for (const { name } of files) {
    const shown = JSON.stringify(name.slice(0, 80));
    if (!FILE_NAME.test(name)) {
      const message = `${shown} is not named as policy files are: lower-case letters, digits, _ and -, then .yaml.`;
      throw new Fault('POLICY_INVALID', message);
    }
    if (names.has(name)) throw new Fault('POLICY_INVALID', `There are two files named ${shown}.`);
    names.add(name);
  }
}

/** SHA-256 over names and texts in the order of their names, each after its length, so that no two sets of files look alike. */
function hashOf(files: readonly PolicyFile[]): string {
  const hash = createHash('sha256');
  for (const { name, text } of files.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    for (const part of [name, text]) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  }
  return hash.digest('hex');
}
