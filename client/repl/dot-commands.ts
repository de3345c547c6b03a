import { readFile, writeFile } from 'node:fs/promises';
import type { Session } from '../session.ts';
import { renderTable } from '../terminal/render.ts';

/** What a command of the REPL may do. */
export interface DotPowers {
  readonly session: Pick<Session, 'info' | 'setLevel' | 'reset' | 'namespace'>;
  /** The levels there are, lowest first. */
  readonly levels: readonly string[];
  /** The sources that ran so far. */
  readonly sources: readonly string[];
  print(text: string): void;
  execute(source: string): Promise<void>;
  exit(): void;
}

interface DotCommand {
  readonly usage: string;
  readonly does: string;
  run(argument: string, powers: DotPowers): Promise<void> | void;
}

const COMMANDS: Readonly<Record<string, DotCommand>> = {
  help: {
    usage: '.help',
    does: 'show this list',
    run: (_argument, { print }) => {
      print(renderTable(Object.values(COMMANDS).map(({ usage, does }) => [usage, does])));
      print('Ctrl-C interrupts the running cell or clears the line, Tab completes, Ctrl-D exits.');
    },
  },
  level: {
    usage: '.level [NAME]',
    does: 'show the security level, or move the session down to another one',
    run: async (argument, { session, levels, print }) => {
      if (argument === '') {
        print(`${session.info.level} (levels, lowest first: ${levels.join(', ')})`);
        return;
      }
      const { level } = await session.setLevel(argument);
      print(`the session is at level ${level} now`);
    },
  },
  vars: {
    usage: '.vars',
    does: 'list what the session has declared',
    run: async (_argument, { session, print }) => {
      const names = await session.namespace.list();
      if (names.length === 0) print('nothing is declared yet');
      else
        print(
          renderTable(names.map(({ kind, name, type, preview }) => [kind, name, type, preview.split('\n')[0] ?? ''])),
        );
    },
  },
  load: {
    usage: '.load FILE',
    does: 'run a file as one cell',
    run: async (argument, { execute }) => execute(await readFile(fileNamed(argument), 'utf8')),
  },
  save: {
    usage: '.save FILE',
    does: 'write the cells that ran so far to a file',
    run: async (argument, { sources, print }) => {
      await writeFile(fileNamed(argument), sources.map((source) => `${source}\n`).join(''));
      print(`${sources.length} cells are in ${argument}`);
    },
  },
  reset: {
    usage: '.reset',
    does: 'start over with an empty namespace',
    run: async (_argument, { session, print }) => {
      await session.reset();
      print('the session is empty now');
    },
  },
  exit: { usage: '.exit', does: 'leave', run: (_argument, { exit }) => exit() },
};

/** Whether a line is for the REPL itself; `.5 + 1` is not. */
export function isDotCommand(line: string): boolean {
  return /^\s*\.[a-z]/i.test(line);
}

/** Runs one; what goes wrong is thrown, to be shown as any other error. */
export async function runDotCommand(line: string, powers: DotPowers): Promise<void> {
  const [, name = '', argument = ''] = /^\s*\.(\S*)\s*(.*?)\s*$/s.exec(line) ?? [];
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) throw new Error(`there is no command .${name}; .help lists them`);
  await command.run(argument, powers);
}

function fileNamed(argument: string): string {
  if (argument === '') throw new Error('say which file');
  return argument;
}
