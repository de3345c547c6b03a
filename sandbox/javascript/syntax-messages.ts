// Acorn's words for the commonest mistakes, put into V8's: users search for the message they know from Node and Chrome.
const wording: Readonly<Record<string, string>> = {
  'Unterminated string constant': 'Invalid or unexpected token',
  'Unterminated comment': 'Invalid or unexpected token',
  'Unterminated template': 'Unterminated template literal',
  'Unterminated regular expression': 'Invalid regular expression: missing /',
  'Invalid number': 'Invalid or unexpected token',
  'Identifier directly after number': 'Invalid or unexpected token',
  "'return' outside of function": 'Illegal return statement',
  'Unsyntactic break': 'Illegal break statement',
  'Unsyntactic continue': 'Illegal continue statement: no surrounding iteration statement',
  'Assigning to rvalue': 'Invalid left-hand side in assignment',
  "'super' keyword outside a method": "'super' keyword unexpected here",
  'super() call outside constructor of a subclass': "'super' keyword unexpected here",
  "'new.target' can only be used in functions and class static block": 'new.target expression is not allowed here',
  'Complex binding patterns require an initialization value': 'Missing initializer in destructuring declaration',
  'Shorthand property assignments are valid only in destructuring patterns': 'Invalid shorthand property initializer',
  'Argument name clash': 'Duplicate parameter name not allowed in this context',
  'Redefinition of __proto__ property': 'Duplicate __proto__ fields are not allowed in object literals',
  'Missing catch or finally clause': 'Missing catch or finally after try',
  'Multiple default clauses': 'More than one default clause in switch statement',
  'Duplicate constructor in the same class': 'A class may only have one constructor',
  "'with' in strict mode": 'Strict mode code may not include a with statement',
  'Deleting local variable in strict mode': 'Delete of an unqualified identifier in strict mode.',
  'Illegal newline after throw': 'Illegal newline after throw',
  'Not enough stack space to parse input': 'The code is nested too deeply',
};

/** The message to show for a message of acorn's. */
export function syntaxMessage(message: string): string {
  const known = wording[message];
  if (known !== undefined) return known;
  if (message.startsWith('Unexpected character')) return 'Invalid or unexpected token';
  if (message.startsWith('Label ')) return message.replace('is already declared', 'has already been declared');
  if (message.startsWith('Expected number in radix')) return 'Invalid or unexpected token';
  return message;
}
