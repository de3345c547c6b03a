import { styleText } from 'node:util';
import { parse, type TokenType } from 'sugar-high/core';
import * as python from 'sugar-high/lang/python';
import * as typescript from 'sugar-high/lang/typescript';
import type { Language } from '../protocol.ts';

type Style = Parameters<typeof styleText>[0];

const STYLES: Partial<Record<TokenType, Style>> = {
  keyword: 'magenta',
  string: 'green',
  class: 'yellow',
  comment: 'gray',
  entity: 'cyan',
  property: 'cyan',
  jsxliterals: 'green',
};

/** TypeScript has the words of JavaScript too. */
const GRAMMARS: Readonly<Record<Language, Parameters<typeof parse>[1]>> = {
  javascript: typescript,
  typescript,
  python,
};

/** Colours one line of a cell. Only colour sequences are added: the line is as wide as before. */
export function highlight(line: string, language: Language): string {
  const [parsed] = parse(line, GRAMMARS[language]).lines;
  const tokens = parsed?.tokens ?? [];
  // The tokenizer is a guess at the grammar; where it lost a character, the line is shown without colours.
  if (tokens.map(({ value }) => value).join('') !== line) return line;
  return tokens
    .map(({ type, value }) => {
      const style = STYLES[type];
      return style ? styleText(style, value, { validateStream: false }) : value;
    })
    .join('');
}
