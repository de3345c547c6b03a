/** Where a daemon's policy comes from, and where `policy apply` writes it. */
import { lstatSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Fault } from '../fault.ts';
import { finishReplacement } from './policy-folder.ts';

export interface PolicySource {
  readonly folder: string;
  /** The folder that is written to; never one inside the package. */
  readonly applyTo: string;
  /** Whether others may have been able to write there. What comes with the package is as safe as its code. */
  readonly checkModes: boolean;
}

interface Candidates {
  /** The folder that the administrator named. */
  readonly explicit: string | null;
  readonly stateDir: string;
  /** The folder that comes with the package. */
  readonly shipped: string;
}

const APPLIED_FOLDER = 'policy';

/**
 * The folder that was named; otherwise the one that an earlier `policy apply` has left in the state directory; otherwise the one
 * that comes with the package. Fails with UNAVAILABLE where the one that was chosen is not there: another would not be what the
 * administrator meant.
 */
export function resolvePolicySource({ explicit, stateDir, shipped }: Candidates): PolicySource {
  if (explicit !== null) {
    const folder = realFolder(resolve(explicit));
    return { folder, applyTo: folder, checkModes: true };
  }
  const applied = join(resolve(stateDir), APPLIED_FOLDER);
  finishReplacement(applied);
  const stats = lstatSync(applied, { throwIfNoEntry: false });
  if (stats === undefined) return { folder: shipped, applyTo: applied, checkModes: false };
  if (!stats.isDirectory()) {
    throw new Fault('UNAVAILABLE', `${applied} is not a directory; move it away, or put the policy's folder there.`);
  }
  return { folder: applied, applyTo: applied, checkModes: true };
}

/** As a folder may be named by a link, what the link names is what is watched and replaced from then on. */
function realFolder(path: string): string {
  finishReplacement(path);
  try {
    return realpathSync(path);
  } catch (error) {
    const { message } = error as Error;
    throw new Fault('UNAVAILABLE', `The folder of policy files ${path} cannot be used: ${message}`, undefined, {
      cause: error,
    });
  }
}
