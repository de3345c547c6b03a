import { Command, CommanderError, Option } from 'commander';
import { PyreplError } from '../errors.ts';
import { plainText } from '../terminal/terminal-filter.ts';
import { addApprovals, addAudit, addPolicy } from './administration-commands.ts';
import { backup } from './backup.ts';
import type { CliContext } from './cli-context.ts';
import { CliError, EXIT } from './cli-error.ts';
import { drain } from './drain.ts';
import { drainMsOption, jsonOption, languageOption, levelOption, parseTimeout, stateDirOption } from './options.ts';
import { repl } from './repl.ts';
import { run } from './run.ts';
import { serve } from './serve.ts';
import { actOnSession, listSessions, type SessionAct } from './session.ts';
import { status } from './status.ts';

/** Runs one command line (without the program's own name). Resolves to the exit status; never rejects for what a user does. */
export async function runCommandLine(context: CliContext, argv: readonly string[]): Promise<number> {
  let exitStatus: number = EXIT.ok;
  const program = buildProgram(context, async (command) => {
    exitStatus = await command;
  });
  try {
    // Without a command: the REPL where somebody sits at a terminal, otherwise the daemon.
    if (argv.length === 0) return await (isInteractive(context) ? repl(context, {}, 'start') : serve(context, {}));
    await program.parseAsync(argv, { from: 'user' });
    return exitStatus;
  } catch (error) {
    // Commander has printed its own already: help and version as they are, errors as one line.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (error instanceof CliError) return complain(context, error.message, error.status);
    if (!(error instanceof PyreplError)) throw error;
    const exit = error.code === 'UNAVAILABLE' ? EXIT.unreachable : EXIT.failed;
    return complain(context, `${error.message} [${error.code}]`, exit);
  }
}

function buildProgram(context: CliContext, settle: (command: Promise<number>) => Promise<void>): Command {
  const program = new Command('pyrepl3');
  program
    .description(
      'Runs code nobody has vetted, in sessions with hard limits. Without a command: the REPL, or the daemon.',
    )
    .version(context.version)
    // What comes after the file of `run` is the program's own.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.out.write(text),
      writeErr: (text) => context.err.write(text),
      outputError: (text) => complain(context, usageLine(text), EXIT.usage),
    });
  addServe(program, context, settle);
  addRun(program, context, settle);
  addRepl(program, context, settle);
  addSession(program, context, settle);
  addApprovals(program, context, settle);
  addPolicy(program, context, settle);
  addAudit(program, context, settle);
  addUpkeep(program, context, settle);
  return program;
}

export type AddCommand = (
  program: Command,
  context: CliContext,
  settle: (command: Promise<number>) => Promise<void>,
) => void;

const addServe: AddCommand = (program, context, settle) => {
  program
    .command('serve')
    .description('run the daemon in the foreground')
    .addOption(stateDirOption())
    .option('--client-ceiling <level>', 'the highest level that clients may ask for')
    .option('--policies <folder>', 'a folder of level files instead of the ones that come with PyREPL3')
    .option('--capabilities <folder>', 'a folder of capabilities of your own: docs/EXTENDING.md')
    .option('--ephemeral', 'keep sessions in memory: they end with the daemon')
    .option('--resonate <url>', 'share sessions with other daemons on this Resonate server: docs/OPERATIONS.md')
    .option('--resonate-secret-file <file>', 'the token of that server, or the password of its database')
    .option('--group <name>', 'the daemons that take over each other’s sessions')
    .option('--name <name>', 'of this daemon in its group')
    .option('--lease-ms <ms>', 'how long a daemon that is not heard of keeps its sessions')
    .addOption(drainMsOption())
    .action((options) => settle(serve(context, options)));
};

const addRun: AddCommand = (program, context, settle) => {
  program
    .command('run')
    .description('run a file, stdin (-), a source or a list of cells, and print the last value')
    .argument('[file]', 'a file, or - for stdin')
    .argument('[args...]', 'words that the program finds in sys.argv, in JavaScript in argv')
    .passThroughOptions()
    .option('-e, --eval <source>', 'run this source')
    .option('--cells <file>', 'run a JSON array of sources, one after the other in one session')
    .addOption(languageOption())
    .addOption(levelOption())
    .addOption(new Option('--timeout <ms>', 'wall clock of each cell').argParser(parseTimeout))
    .addOption(
      new Option('--learn', 'print the smallest policy that would have let through what was denied').conflicts('json'),
    )
    .addOption(stateDirOption())
    .addOption(jsonOption())
    .action((file, args, options) => settle(run(context, file === undefined ? [] : [file, ...args], options)));
};

const addRepl: AddCommand = (program, context, settle) => {
  program
    .command('repl')
    .description('a session at the terminal')
    .addOption(languageOption())
    .addOption(levelOption())
    .addOption(stateDirOption())
    .action((options) => settle(repl(context, options)));
};

const addSession: AddCommand = (program, context, settle) => {
  const session = program.command('session').description("look at everybody's sessions");
  session
    .command('list')
    .description('list them')
    .addOption(stateDirOption())
    .addOption(jsonOption())
    .action((options) => settle(listSessions(context, options)));
  const acts: Readonly<Record<SessionAct, string>> = {
    show: 'describe one',
    close: 'end one',
    interrupt: 'interrupt its running cell',
  };
  for (const [act, description] of Object.entries(acts) as [SessionAct, string][]) {
    session
      .command(act)
      .description(description)
      .argument('<id>', 'the session')
      .addOption(stateDirOption())
      .addOption(jsonOption())
      .action((id, options) => settle(actOnSession(context, act, id, options)));
  }
};

const addUpkeep: AddCommand = (program, context, settle) => {
  program
    .command('status')
    .description('how the daemon is')
    .addOption(stateDirOption())
    .addOption(jsonOption())
    .action((options) => settle(status(context, options)));
  program
    .command('backup')
    .description('copy what the daemon keeps of its sessions into a new file, while it runs')
    .argument('<file>', 'the file, which must not be there yet')
    .addOption(stateDirOption())
    .addOption(jsonOption())
    .action((file, options) => settle(backup(context, file, options)));
  program
    .command('drain')
    .description('end the daemon once what runs has finished, and wait for that')
    .addOption(drainMsOption())
    .addOption(stateDirOption())
    .addOption(jsonOption())
    .action((options) => settle(drain(context, options)));
};

/** One line that says what to do. */
function usageLine(text: string): string {
  const line = text
    .replace(/^error: /, '')
    .trim()
    .replaceAll(/\s*\n\s*/g, ' ');
  return `${line}; "pyrepl3 --help" and "pyrepl3 COMMAND --help" say what there is`;
}

function complain(context: CliContext, message: string, exit: number): number {
  const line = `pyrepl3: ${message}\n`;
  // A message may quote what the daemon or a file said.
  context.err.write(context.err.isTerminal ? plainText(line) : line);
  return exit;
}

function isInteractive(context: CliContext): boolean {
  return context.stdin.isTTY === true && context.out.isTerminal;
}
