import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import * as v from 'valibot';
import type { CallContext, Capability } from '../../../daemon/capabilities/capability.ts';
import { Fault } from '../../../daemon/fault.ts';
import { FileRoots, type FileRootsOptions } from '../../../daemon/files/file-roots.ts';
import type { ConstraintsOf } from '../../../policies/capabilities.ts';
import { allowed, fakeContext } from '../capabilities/_call-context.ts';

export interface FileTree {
  readonly files: FileRoots;
  /** The folder of the root `data`. */
  readonly data: string;
  /** A folder beside it, which no root reaches; it holds `secret.txt` with {@link SECRET}. */
  readonly outside: string;
  readonly state: string;
  readonly base: string;
}

export const SECRET = 'OUTSIDE';

/** The roots `workspace`, private, and `data`, a folder; all gone when the test ends. */
export function fileTree(t: ExecutionContext, options: Partial<FileRootsOptions> = {}): FileTree {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'files-')));
  t.teardown(() => rmSync(base, { recursive: true, force: true }));
  const [data, outside, state] = ['data', 'outside', 'state'].map((name) => join(base, name)) as [
    string,
    string,
    string,
  ];
  for (const folder of [data, outside, state]) mkdirSync(folder);
  writeFileSync(join(outside, 'secret.txt'), SECRET);
  const files = new FileRoots({
    roots: new Map([
      ['workspace', { kind: 'private' }],
      ['data', { kind: 'path', path: data }],
    ]),
    privateFolder: join(state, 'workspaces'),
    forbidden: [state],
    ...options,
  });
  return { files, data, outside, state, base };
}

/** A named pipe, which blocks whoever opens it as a file. */
export function makePipe(path: string): void {
  execFileSync('sh', ['-c', 'mkfifo "$0"', path]);
}

/** Calls an effect as the gate does: arguments checked, then the rules of the grant, then the effect. */
export async function call<K extends string, A>(
  capability: Capability<K, A>,
  constraints: ConstraintsOf<K>,
  args: unknown,
  context: Partial<CallContext> = {},
): Promise<unknown> {
  const parsed = v.safeParse(capability.args, args);
  if (!parsed.success) throw new Fault('INVALID_PARAMS', parsed.issues[0].message);
  const refusal = capability.refuse(parsed.output, constraints);
  if (refusal !== null) throw new Fault('CAPABILITY_DENIED', refusal, { capability: capability.name });
  return await capability.invoke(allowed(capability.name, parsed.output, constraints), fakeContext(context));
}

/** What the call fails with, as the guest is told. */
export async function failure(promise: Promise<unknown>): Promise<{ code: string; message: string; details: unknown }> {
  try {
    await promise;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { code: error.code, message: error.message, details: error.details };
  }
  return { code: 'none', message: '', details: undefined };
}

/** The code, and the reason where there is one: `EFFECT_FAILED not-found`. */
export async function outcome(promise: Promise<unknown>): Promise<string> {
  const { code, details } = await failure(promise);
  const { reason, limit } = (details ?? {}) as { reason?: string; limit?: string };
  return [code, reason ?? limit].filter(Boolean).join(' ');
}
