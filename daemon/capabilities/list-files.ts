import * as v from 'valibot';
import type { ConstraintsOf } from '../../policies/capabilities.ts';
import { Fault } from '../fault.ts';
import { FILE_DENIED, fileDenied } from '../files/file-faults.ts';
import { FILE_LIMITS } from '../files/file-limits.ts';
import type { FileRoots } from '../files/file-roots.ts';
import type { ListedEntry, ListedPage, ListOptions } from '../files/folder-lister.ts';
import { openPath } from '../files/open-path.ts';
import { grantedPath, recordedPath } from '../files/virtual-path.ts';
import { type CallContext, Capability } from './capability.ts';
import type { AllowedCall } from './gate.ts';

const LIMIT_EXPECTED = 'the limit is a whole number from 1 on';
/** A cursor holds one path, in JSON and base64. */
const CURSOR_CHARS_MAX = 16_384;

const args = v.strictTuple(
  [
    v.optional(v.string('the path must be a string')),
    v.optional(
      v.strictObject(
        {
          recursive: v.optional(v.boolean()),
          limit: v.optional(
            v.pipe(v.number(LIMIT_EXPECTED), v.safeInteger(LIMIT_EXPECTED), v.minValue(1, LIMIT_EXPECTED)),
          ),
          cursor: v.optional(v.pipe(v.string(), v.maxLength(CURSOR_CHARS_MAX, 'that is no cursor of list_files'))),
        },
        'the options may hold recursive, limit and cursor, and nothing else',
      ),
    ),
  ],
  'there may be a path and options',
);

type ListArgs = v.InferOutput<typeof args>;
type ListCall = AllowedCall<'list_files', ListArgs>;

export interface FileList {
  readonly entries: readonly ListedEntry[];
  readonly cursor: string | null;
}

/** `list_files(path?, {recursive?, limit?, cursor?}?)`. */
export class ListFilesCapability extends Capability<'list_files', ListArgs> {
  override readonly name = 'list_files';
  override readonly summary = 'Lists a folder under the roots of the session, or the roots themselves.';
  override readonly signature = `/**
 * Lists a folder: the first root without a path, the roots for "/". Entries come in the order of their names; with \`recursive\`,
 * what a folder holds comes right after it. What is neither a file nor a folder that can be used is of kind "other".
 * One answer has at most \`limit\` entries; where \`cursor\` is not null, the same call with that cursor answers those that follow.
 * Fails with CAPABILITY_DENIED for a path that is not open, EFFECT_FAILED (details.reason "not-found", "not-a-folder", …),
 * TOO_LARGE for a folder with too many names.
 */
declare function list_files(
  path?: string,
  options?: { recursive?: boolean; limit?: number; cursor?: string },
): Promise<{
  entries: { path: string; name: string; kind: 'file' | 'directory' | 'other'; bytes: number; modifiedMs: number }[];
  cursor: string | null;
}>;`;
  override readonly stub =
    'async def list_files(path: str = ".", *, recursive: bool = False, limit: int | None = None, cursor: str | None = None) -> dict: ...';
  override readonly idempotent = true;
  override readonly readOnly = true;
  override readonly patient = false;
  override readonly args = args;
  readonly #files: FileRoots;

  constructor(files: FileRoots) {
    super();
    this.#files = files;
  }

  override refuse([path = '.']: ListArgs, constraints: ConstraintsOf<'list_files'>): string | null {
    return grantedPath(path, constraints) === null ? FILE_DENIED : null;
  }

  override audited([path = '.', options]: ListArgs): unknown {
    const { recursive = false, limit = null, cursor } = options ?? {};
    return [recordedPath(path), { recursive, limit, continues: cursor !== undefined }];
  }

  override async invoke(call: ListCall, context: CallContext): Promise<FileList> {
    const [path = '.', { recursive = false, limit, cursor } = {}] = call.args;
    const granted = grantedPath(path, call.constraints);
    if (granted === null) throw fileDenied(this.name);
    const entriesMax = Math.min(
      limit ?? Number.POSITIVE_INFINITY,
      call.constraints.entriesMax,
      FILE_LIMITS.pageEntriesMax,
    );
    const place = `${recursive ? 'tree' : 'folder'} ${granted.text}`;
    const options = { recursive, entriesMax, after: cursor === undefined ? null : namesOf(cursor, place) };
    const page = await (granted.root === null
      ? this.#listRoots(call, options, context)
      : this.#listPath(call, path, options, context));
    return { entries: page.entries, cursor: page.hasMore ? cursorOf(place, page.last) : null };
  }

  #listPath(call: ListCall, path: string, options: ListOptions, context: CallContext): Promise<ListedPage> {
    const { root, names } = openPath(this.#files, call, path, context);
    return root.list(names, options);
  }

  /** The roots as if they were folders of one folder. */
  async #listRoots(call: ListCall, options: ListOptions, context: CallContext): Promise<ListedPage> {
    const { recursive, entriesMax, after } = options;
    const entries: ListedEntry[] = [];
    let last: readonly string[] = [];
    for (const name of [...new Set(call.constraints.roots)].sort()) {
      if (after !== null && name < (after[0] ?? '')) continue;
      const isResumed = name === after?.[0];
      if (!isResumed) {
        if (entries.length >= entriesMax) return { entries, last, hasMore: true };
        entries.push({ path: `/${name}`, name, kind: 'directory', bytes: 0, modifiedMs: 0 });
        last = [name];
      }
      if (!recursive) continue;
      const page = await this.#listPath(
        call,
        `/${name}`,
        {
          recursive,
          entriesMax: entriesMax - entries.length,
          after: isResumed && after.length > 1 ? after.slice(1) : null,
        },
        context,
      );
      entries.push(...page.entries);
      if (page.last.length > 0) last = [name, ...page.last];
      if (page.hasMore) return { entries, last, hasMore: true };
    }
    return { entries, last, hasMore: false };
  }
}

/** @param place what was listed, because a cursor means nothing anywhere else */
function cursorOf(place: string, names: readonly string[]): string {
  return Buffer.from(JSON.stringify([place, ...names])).toString('base64url');
}

function namesOf(cursor: string, place: string): readonly string[] {
  const parsed = v.safeParse(v.array(v.string()), parseJson(Buffer.from(cursor, 'base64url').toString()));
  const [madeFor, ...names] = parsed.success ? parsed.output : [];
  if (madeFor === place && names.length > 0) return names;
  throw new Fault(
    'INVALID_PARAMS',
    'list_files(): the cursor is not one that was given for this path and these options.',
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
