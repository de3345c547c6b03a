/** Answers what a REPL or a program asks about a session between its cells. */
import type { EntryEnd, Primitive } from '../isolate.ts';
import type { Answer, Question } from '../protocol.ts';
import type { SessionLanguage } from '../session-language.ts';
import { nameChainAt } from './cursor.ts';
import type { CellSource } from './stack.ts';

interface Powers {
  readonly language: Pick<SessionLanguage, 'isComplete' | 'readOutcome' | 'warm'>;
  readonly enter: (...entry: [string, ...Primitive[]]) => Promise<EntryEnd>;
  readonly cellSource: (cell: number) => CellSource | undefined;
  /** What may still happen without anybody asking for it. */
  readonly pending: () => { readonly timers: number; readonly entered: boolean };
}

type NamespaceNames = {
  readonly name: string;
  readonly kind: string;
  readonly type: string;
  readonly preview: string;
}[];

export interface Refusal {
  readonly code: 'TIMED_OUT' | 'TOO_LARGE' | 'RUNTIME_ERROR' | 'SESSION_LOST';
  readonly message: string;
}

export async function answerQuestion(
  question: Exclude<Question, { about: 'image' }>,
  powers: Powers,
): Promise<Answer | Refusal> {
  const text = async (operation: string, argument = ''): Promise<string | Refusal> => {
    const end = await powers.enter(operation, argument);
    if (end.end === 'returned') return end.text;
    // What the guest side throws while it answers is guest code's doing: a getter, a Proxy trap.
    if (end.end === 'unhandled')
      return {
        code: 'RUNTIME_ERROR',
        message: `Guest code threw while ${question.about} was answered: ${end.error.message}`,
      };
    if (end.end === 'disposed') return { code: 'SESSION_LOST', message: 'The isolate was lost.' };
    return { code: 'TIMED_OUT', message: `Guest code ran too long while ${question.about} was answered.` };
  };
  const parsed = async <T>(
    operation: string,
    argument: string,
    make: (value: T) => Answer,
  ): Promise<Answer | Refusal> => {
    const answer = await text(operation, argument);
    return typeof answer === 'string' ? make(JSON.parse(answer === '' ? '[]' : answer) as T) : answer;
  };

  switch (question.about) {
    case 'namespace.list': {
      const make = (names: NamespaceNames): Answer => ({ about: question.about, names });
      const answer = await parsed('list', '', make);
      // One value whose traps never end must not hide the names of all others.
      return 'code' in answer && answer.code === 'TIMED_OUT' ? parsed('names', '', make) : answer;
    }
    case 'namespace.set':
      return parsed('set', question.valuesJson, (names: string[]) => ({ about: question.about, names }));
    case 'namespace.delete':
      return parsed('delete', JSON.stringify(question.names), (names: string[]) => ({ about: question.about, names }));
    case 'namespace.get': {
      const answer = await text('get', question.name);
      if (typeof answer !== 'string') return answer;
      return answer === ''
        ? { about: question.about, found: false }
        : { about: question.about, found: true, outcome: powers.language.readOutcome(answer, powers.cellSource) };
    }
    case 'complete': {
      const chain = nameChainAt(question.source, question.cursor, false);
      if (chain.names.length === 0) return { about: 'complete', matches: [], start: chain.start, end: chain.end };
      return parsed('complete', JSON.stringify(chain.names), (matches: string[]) => ({
        about: 'complete',
        matches: matches.sort(),
        start: chain.start,
        end: chain.end,
      }));
    }
    case 'inspect': {
      const chain = nameChainAt(question.source, question.cursor, true);
      const answer =
        chain.names.length === 0 || chain.names.includes('') ? '' : await text('inspect', JSON.stringify(chain.names));
      return typeof answer === 'string' ? { about: 'inspect', found: answer !== '', text: answer } : answer;
    }
    case 'pending':
      return { about: 'pending', ...powers.pending() };
    case 'isComplete':
      return completeness(question.source, powers.language, text);
  }
}

async function completeness(
  source: string,
  language: Powers['language'],
  ask: (operation: string, argument: string) => Promise<string | Refusal>,
): Promise<Answer | Refusal> {
  await language.warm();
  let refusal: Refusal | undefined;
  const status = await language.isComplete(source, async (operation, argument) => {
    const answer = await ask(operation, argument);
    if (typeof answer === 'string') return answer;
    refusal = answer;
    return '';
  });
  if (refusal !== undefined) return refusal;
  return { about: 'isComplete', status: status === 'complete' || status === 'incomplete' ? status : 'invalid' };
}
