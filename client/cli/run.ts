import type { Client } from '../client.ts';
import { PyreplError } from '../errors.ts';
import type { Execution } from '../execution.ts';
import type { InputHandler } from '../input-requests.ts';
import type { ExecutionError, ExecutionResult, Language } from '../protocol.ts';
import type { Session } from '../session.ts';
import { GuestOutput, printEvent } from '../terminal/guest-output.ts';
import { LineSource } from '../terminal/line-source.ts';
import { renderError, renderForShell } from '../terminal/render.ts';
import type { CliContext } from './cli-context.ts';
import { CliError, EXIT, usageError } from './cli-error.ts';
import { pythonExitStatus } from './python-exit-status.ts';
import { reachDaemon } from './reach-daemon.ts';
import { readSources, type SourceOptions } from './run-sources.ts';

export interface RunOptions extends SourceOptions {
  readonly level?: string;
  readonly timeout?: number;
  readonly stateDir?: string;
  readonly json?: boolean;
  /** Say what the code would have needed. */
  readonly learn?: boolean;
}

/**
 * `pyrepl3 run`: runs cells in one session and prints what they give. Resolves to the exit status.
 *
 * @param words the file, and what is meant for the program in it
 */
export async function run(context: CliContext, words: readonly string[], options: RunOptions): Promise<number> {
  const { cells, language, fromStdin, argv } = await readSources(words, options, context.stdin);
  await using reached = await reachDaemon(context, { stateDir: options.stateDir, otherwise: 'private' });
  await using session = await openSession(
    reached.client,
    { language, ...(argv && { argv: [...argv] }) },
    options.level,
  );
  const input = new InputFromUser(context, fromStdin);
  session.onInput(input.handler);
  try {
    const results = await runCells(context, session, cells, options);
    if (options.learn) await printLearned(context, reached.stateDir, session.sessionId);
    if (options.json) {
      const document = options.cells === undefined ? results[0] : results;
      context.out.write(`${JSON.stringify(document)}\n`);
    }
    // A list of cells is no program, which alone can say what it ends with.
    return argv !== null && language === 'python'
      ? pythonExitStatus(results)
      : results.every(({ status }) => status === 'ok')
        ? EXIT.ok
        : EXIT.failed;
  } finally {
    input.close();
  }
}

/** Only administrators may ask what a policy lacks. */
async function printLearned(context: CliContext, stateDir: string, sessionId: string): Promise<void> {
  await using admin = await reachDaemon(context, { stateDir, role: 'admin', otherwise: 'fail' });
  const { yaml, denied } = await admin.client.call('policy.learn', { sessionId });
  context.out.write(denied === 0 ? '# The policy let everything through.\n' : yaml);
}

/** A session for a command. A level that does not exist, or is above the ceiling, is wrong usage. */
export async function openSession(
  client: Client,
  asked: { readonly language: Language; readonly argv?: string[] },
  level: string | undefined,
): Promise<Session> {
  const { levels } = client.hello;
  if (level !== undefined && !levels.includes(level)) {
    throw usageError(`unknown level ${JSON.stringify(level)}: the levels are ${levels.join(', ')}`);
  }
  try {
    return await client.createSession({ ...asked, ...(level !== undefined && { level }) });
  } catch (error) {
    if (error instanceof PyreplError && error.code === 'LEVEL_DENIED') throw usageError(error.message);
    throw error;
  }
}

/** Runs every cell, also after one that failed; Ctrl-C interrupts the one that runs and leaves out the rest. */
async function runCells(
  context: CliContext,
  session: Session,
  cells: readonly string[],
  { json, timeout }: RunOptions,
): Promise<readonly ExecutionResult[]> {
  const out = new GuestOutput(context.out);
  const err = new GuestOutput(context.err);
  const results: ExecutionResult[] = [];
  let running: Execution | null = null;
  let interrupted = false;
  const release = context.onInterrupt(() => {
    if (interrupted || !running) context.exit(EXIT.interrupted);
    interrupted = true;
    running?.interrupt().catch(() => undefined);
  });
  try {
    for (const [index, source] of cells.entries()) {
      if (interrupted) break;
      running = session.execute(source, {
        ...(timeout !== undefined && { timeoutMs: timeout }),
        ...(!json && { onOutput: (event) => printEvent(event, out, err) }),
      });
      const result = await settled(running, index + 1);
      results.push(result);
      if (!json && result.error) complain(result.error, err);
    }
  } finally {
    release();
    out.end();
    err.end();
  }
  const text = json
    ? null
    : renderForShell(results.at(-1)?.value, { pretty: context.out.isTerminal, language: session.info.language });
  if (text !== null) out.writeLine(text);
  return results;
}

/** A program that ends itself says why, if at all, and not where. */
function complain(error: ExecutionError, err: GuestOutput): void {
  if (error.exitStatus !== undefined) return;
  err.writeLine(error.name === 'SystemExit' ? error.message : renderError(error));
}

/** A cell that the daemon would not run has a result too, so that what is printed has one shape. */
async function settled(execution: Execution, cell: number): Promise<ExecutionResult> {
  try {
    return await execution;
  } catch (error) {
    if (!(error instanceof PyreplError)) throw error;
    const { code, message, details } = error;
    if (code === 'UNAVAILABLE') throw new CliError(message, { status: EXIT.unreachable, cause: error });
    return {
      executionId: execution.executionId,
      cell,
      status: 'error',
      error: { code, name: 'PyreplError', message, stack: '', details },
      output: { stdout: '', stderr: '', truncated: false },
      durationMs: 0,
      cpuMs: 0,
      heapBytes: 0,
      capabilityCalls: 0,
    };
  }
}

/** Answers `input()` with lines of stdin, asking for them where somebody sits there. */
class InputFromUser {
  readonly #context: CliContext;
  readonly #spent: boolean;
  #lines: LineSource | null = null;

  constructor(context: CliContext, spent: boolean) {
    this.#context = context;
    this.#spent = spent;
  }

  readonly handler: InputHandler = async ({ prompt, signal }) => {
    if (this.#spent) return null;
    // On stderr: stdout is for what the cell gives.
    if (this.#context.stdin.isTTY) new GuestOutput(this.#context.err).write(prompt);
    this.#lines ??= new LineSource({ input: this.#context.stdin });
    return this.#lines.next('', { signal });
  };

  /** Lets go of stdin, which would keep the process alive. */
  close(): void {
    this.#lines?.close();
  }
}
