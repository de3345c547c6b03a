import * as v from 'valibot';
import type { ConstraintsOf } from '../../policies/capabilities.ts';
import type { ProgramSpec } from '../../policies/resources.ts';
import { type ProgramResult, runProgram } from '../exec/run-program.ts';
import { Fault } from '../fault.ts';
import { type CallContext, Capability } from './capability.ts';
import type { AllowedCall } from './gate.ts';
import { byteLengthOf, bytesOf, type WireData, wireData } from './wire-data.ts';

type ExecArgs = [
  program: string,
  args: string[],
  options?: { stdin?: WireData | undefined; timeoutMs?: number | undefined } | undefined,
];

const ARGS_MAX = 256;
const ARG_BYTES_MAX = 8192;
/** Held in the daemon's memory while the program reads. */
const STDIN_BYTES_MAX = 16 * 1024 * 1024;
/** Programs of one session that run at once; each is a process of the machine. */
const RUNNING_MAX = 4;

const ARG_EXPECTED = `each argument must be a string of at most ${ARG_BYTES_MAX} bytes, without NUL`;
const stdin = v.pipe(
  wireData('stdin'),
  v.check((data) => byteLengthOf(data) <= STDIN_BYTES_MAX, `stdin may have at most ${STDIN_BYTES_MAX} bytes`),
);
const args = v.strictTuple(
  [
    v.pipe(v.string('the program must be a name'), v.maxLength(64, 'the program must be a short name')),
    v.pipe(
      v.array(
        v.pipe(v.string(ARG_EXPECTED), v.maxBytes(ARG_BYTES_MAX, ARG_EXPECTED), v.excludes('\0', ARG_EXPECTED)),
        'the arguments must be a list of strings',
      ),
      v.maxLength(ARGS_MAX, `there may be at most ${ARGS_MAX} arguments`),
    ),
    v.optional(
      v.strictObject(
        {
          stdin: v.optional(stdin),
          timeoutMs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 31 - 1))),
        },
        'the options may hold stdin and timeoutMs, and nothing else',
      ),
    ),
  ],
  'there must be a program and a list of arguments, and perhaps options',
);

export interface ExecParts {
  /** Those of the policy in force. */
  readonly programs: () => ReadonlyMap<string, ProgramSpec>;
  /** Where the programs' working directories are made; of nobody else's. */
  readonly folder: string;
}

/** `exec(program, args, options?)`: runs a program of the policy, without a shell. */
export class ExecCapability extends Capability<'exec', ExecArgs> {
  override readonly name = 'exec';
  override readonly summary = 'Runs a program that the policy lists, without a shell, in an empty directory.';
  override readonly signature = `/**
 * Runs to the end of the program, whatever its status; \`truncated\` where it wrote too much and was ended.
 * Fails with CAPABILITY_DENIED for a program that is not listed, TIMED_OUT, EFFECT_FAILED (details.reason 'not-found')
 * where it cannot be started, BUSY while ${RUNNING_MAX} others run.
 */
declare function exec(
  program: string,
  args: string[],
  options?: { stdin?: string | Uint8Array; timeoutMs?: number },
): Promise<{ status: number | null; signal: string | null; stdout: string; stderr: string; truncated: boolean }>;`;
  override readonly stub =
    'async def exec(program: str, args: list[str], *, stdin: str | bytes | None = None, timeout_ms: int | None = None) -> dict: ...';
  override readonly idempotent = false;
  override readonly patient = false;
  override readonly args = args;
  readonly #parts: ExecParts;
  readonly #running = new Map<string, number>();

  constructor(parts: ExecParts) {
    super();
    this.#parts = parts;
  }

  override refuse([program, , options]: ExecArgs, constraints: ConstraintsOf<'exec'>): string | null {
    if (!constraints.programs.includes(program)) {
      return `exec(${JSON.stringify(program)}) is not granted to this session.`;
    }
    const { timeMsMax } = constraints;
    if ((options?.timeoutMs ?? 0) <= timeMsMax) return null;
    return `exec() may run for at most ${timeMsMax} ms in this session, and timeoutMs is ${options?.timeoutMs}.`;
  }

  override audited([program, programArgs, options]: ExecArgs): unknown {
    const { stdin: data, timeoutMs } = options ?? {};
    return [
      program,
      programArgs,
      { ...(data && { stdin: { bytes: byteLengthOf(data) } }), ...(timeoutMs && { timeoutMs }) },
    ];
  }

  override async invoke(call: AllowedCall<'exec', ExecArgs>, context: CallContext): Promise<ProgramResult> {
    const [name, programArgs, options] = call.args;
    const { timeMsMax, outputBytesMax } = call.constraints;
    const program = this.#parts.programs().get(name);
    if (program === undefined) {
      throw new Fault('CAPABILITY_DENIED', `exec(${JSON.stringify(name)}) is not granted to this session.`);
    }
    const leave = this.#enter(context.sessionId);
    try {
      return await runProgram({
        name,
        path: program.path,
        args: programArgs,
        stdin: options?.stdin ? bytesOf(options.stdin) : null,
        timeMs: options?.timeoutMs ?? timeMsMax,
        outputBytesMax,
        folder: this.#parts.folder,
        signal: context.signal,
      });
    } finally {
      leave();
    }
  }

  #enter(sessionId: string): () => void {
    const running = this.#running.get(sessionId) ?? 0;
    if (running >= RUNNING_MAX) {
      throw new Fault('BUSY', `${RUNNING_MAX} programs of this session are running; wait for one of them.`, {
        runningMax: RUNNING_MAX,
      });
    }
    this.#running.set(sessionId, running + 1);
    return () => {
      const left = (this.#running.get(sessionId) ?? 1) - 1;
      if (left === 0) this.#running.delete(sessionId);
      else this.#running.set(sessionId, left);
    };
  }
}
