import { CellSyntaxError } from './cell-parser.ts';
import { parseCell } from './parse-cell.ts';
import { typescriptSyntax } from './typescript.ts';

export type Completeness = 'complete' | 'incomplete' | 'invalid';

/**
 * Whether what a person has typed is a whole cell (run it), the start of one (ask for another line), or wrong.
 * @throws Error for TypeScript before `warmTypescript` has settled.
 */
export function isComplete(source: string, language: 'javascript' | 'typescript'): Completeness {
  if (language === 'typescript') {
    const syntax = typescriptSyntax(source);
    return syntax === 'valid' ? 'complete' : syntax === 'unfinished' ? 'incomplete' : 'invalid';
  }
  const block = reading(source, false);
  if (block === 'complete') return block;
  // `{ a: 1, b:` is wrong as a block and unfinished as an object.
  const object = reading(source, true);
  return object === 'invalid' ? block : object;
}

function reading(source: string, objectLiterals: boolean): Completeness {
  try {
    parseCell(source, objectLiterals);
    return 'complete';
  } catch (error) {
    if (!(error instanceof CellSyntaxError)) throw error;
    return error.canContinue ? 'incomplete' : 'invalid';
  }
}
