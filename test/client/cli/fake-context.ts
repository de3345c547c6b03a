import { PassThrough, Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { CliContext } from '../../../client/cli/cli-context.ts';
import { runCommandLine } from '../../../client/cli/program.ts';

export interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

export interface FakeContext extends CliContext {
  readonly written: { out: string; err: string; editor: string };
  readonly replaced: (readonly string[])[];
  readonly exits: number[];
  readonly handlers: { interrupt: (() => void) | null };
}

/** A process as the commands see it, made of strings. */
export function fakeContext(
  options: { stdin?: Readable | string; isTerminal?: boolean; colours?: boolean; env?: Record<string, string> } = {},
): FakeContext {
  const written = { out: '', err: '', editor: '' };
  const { isTerminal = false, colours = false } = options;
  const stdin = options.stdin instanceof Readable ? options.stdin : Readable.from([options.stdin ?? '']);
  const terminal = new PassThrough();
  terminal.setEncoding('utf8').on('data', (text: string) => {
    written.editor += text;
  });
  const sink = (name: 'out' | 'err') => ({
    isTerminal,
    colours,
    write: (text: string) => {
      written[name] += text;
    },
  });
  const handlers: FakeContext['handlers'] = { interrupt: null };
  const replaced: FakeContext['replaced'] = [];
  const exits: number[] = [];
  return {
    written,
    handlers,
    replaced,
    exits,
    terminal,
    version: '1.2.3',
    env: options.env ?? {},
    stdin: Object.assign(stdin, { isTTY: isTerminal }),
    out: sink('out'),
    err: sink('err'),
    daemonMain: fileURLToPath(new URL('../fake-daemon-main.ts', import.meta.url)),
    replaceProcess: async (args) => {
      replaced.push(args);
      return 0;
    },
    onInterrupt: (handler) => {
      handlers.interrupt = handler;
      return () => {
        handlers.interrupt = null;
      };
    },
    onExit: () => () => undefined,
    exit: (status) => {
      exits.push(status);
    },
  };
}

export async function runWith(context: FakeContext, ...argv: string[]): Promise<Outcome> {
  const status = await runCommandLine(context, argv);
  return { status, out: context.written.out, err: context.written.err };
}
