import { styleText } from 'node:util';
import { parse, type TokenType } from 'sugar-high/core';
import * as typescript from 'sugar-high/lang/typescript';

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

/** Colours one line of JavaScript or TypeScript. Only colour sequences are added: the line is as wide as before. */
export function highlight(line: string): string {
  const [parsed] = parse(line, typescript).lines;
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
