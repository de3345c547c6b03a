import { join } from 'node:path';
import type { Language } from '../protocol.ts';
import { HISTORY_LINES_MAX, History } from '../repl/history.ts';
import { Repl } from '../repl/repl.ts';
import { defaultStateDirectory } from '../state-directory.ts';
import { highlight } from '../terminal/highlight.ts';
import { LineSource } from '../terminal/line-source.ts';
import type { CliContext } from './cli-context.ts';
import { EXIT } from './cli-error.ts';
import { type Reached, type ReachOptions, reachDaemon } from './reach-daemon.ts';
import { openSession } from './run.ts';

export interface ReplCommandOptions {
  readonly lang?: Language;
  readonly level?: string;
  readonly stateDir?: string;
}

/** `pyrepl3 repl`: a session at the terminal, or over the lines of a pipe. Resolves to the exit status. */
export async function repl(
  context: CliContext,
  options: ReplCommandOptions,
  otherwise: ReachOptions['otherwise'] = 'private',
): Promise<number> {
  await using reached = await reachDaemon(context, { stateDir: options.stateDir, otherwise });
  await using session = await openSession(reached.client, { language: options.lang ?? 'javascript' }, options.level);
  const onTerminal = context.stdin.isTTY === true && context.out.isTerminal;
  const history = onTerminal ? new History(join(defaultStateDirectory(context.env), 'repl-history')) : null;
  const loop = new Repl({ client: reached.client, session, out: context.out, err: context.err, history });
  const release = context.onInterrupt(() => loop.interrupt());
  try {
    if (onTerminal) context.out.write(banner(context, reached, session.info));
    await loop.run(openLines(context, loop, history, session.info.language));
  } finally {
    release();
  }
  return EXIT.ok;
}

function openLines(context: CliContext, loop: Repl, history: History | null, language: Language): LineSource {
  if (!history) return new LineSource({ input: context.stdin });
  return new LineSource({
    input: context.stdin,
    editor: {
      output: context.terminal,
      highlight: context.out.colours ? (line) => highlight(line, language) : null,
      complete: loop.complete,
      history: history.lines,
      historyLinesMax: HISTORY_LINES_MAX,
      onInterrupt: () => loop.interrupt(),
    },
  });
}

function banner(
  { version }: CliContext,
  { started, stateDir }: Reached,
  session: { readonly language: string; readonly level: string },
): string {
  const daemon = started ? `A daemon runs for this REPL, at ${stateDir}` : `Joined the daemon at ${stateDir}`;
  return `PyREPL3 ${version}: ${session.language} at level ${session.level}. ${daemon}.\nType .help for help.\n`;
}
