/** How the use of files fails, in words that name no path of the machine. */
import { Fault } from '../fault.ts';

/** The one wording for everything that is not open, whether something exists there or not. */
export const FILE_DENIED =
  'That path is not open to this session. Open are regular files and folders under the roots that list_files("/") names, ' +
  'written as "/workspace/folder/file" without "..", and no links, devices, names that the level blocks, or files with a second name elsewhere.';

export function fileDenied(capability: string): Fault {
  return new Fault('CAPABILITY_DENIED', FILE_DENIED, { capability });
}

export function interrupted(): Fault {
  return new Fault('INTERRUPTED', 'The session ended meanwhile.');
}

export function notFound(): Fault {
  return new Fault('EFFECT_FAILED', 'There is no such file or folder.', { reason: 'not-found' });
}

export function alreadyThere(): Fault {
  return new Fault('EFFECT_FAILED', 'Something of that name is there already.', { reason: 'exists' });
}

export function notAFile(): Fault {
  return new Fault('EFFECT_FAILED', 'That is a folder, not a file.', { reason: 'not-a-file' });
}

export function notAFolder(): Fault {
  return new Fault('EFFECT_FAILED', 'That is a file, not a folder.', { reason: 'not-a-folder' });
}

/** Whether this is what the system says of a name that is not there. */
export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

const UNREACHABLE = new Set(['EIO', 'ESTALE', 'ETIMEDOUT', 'EHOSTDOWN', 'ENOTCONN', 'ECONNRESET', 'ENODEV', 'ENXIO']);

/** What the system refused, told without its own words, which hold paths. Faults pass as they are. */
export function fileFault(error: unknown, capability: string): unknown {
  if (error instanceof Fault) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) return error;
  if (code === 'ELOOP') return fileDenied(capability);
  if (code === 'ENOENT' || code === 'ENOTDIR') return notFound();
  if (code === 'EEXIST') return alreadyThere();
  if (code === 'EISDIR') return notAFile();
  if (code === 'ENOTEMPTY') {
    return new Fault('EFFECT_FAILED', 'The folder is not empty.', { reason: 'not-empty' }, { cause: error });
  }
  if (code === 'EMFILE' || code === 'ENFILE') {
    return new Fault('UNAVAILABLE', 'The daemon has too many files open; try again later.', undefined, {
      cause: error,
    });
  }
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new Fault('EFFECT_FAILED', 'The disk under this root is full.', { reason: 'no-space' }, { cause: error });
  }
  return UNREACHABLE.has(code)
    ? new Fault(
        'EFFECT_FAILED',
        'The disk under this root does not answer.',
        { reason: 'unreachable' },
        { cause: error },
      )
    : new Fault('EFFECT_FAILED', 'The system refused it.', { reason: 'refused' }, { cause: error });
}
