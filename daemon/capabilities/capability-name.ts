/** What a function may be called that is given to guest code from outside. */

/** The history of results, and what a session offers for looking around. */
const SESSION_NAMES = ['_', '__', '___', 'help', 'exports', 'module', 'require', 'undefined'];
/** The globals of this process are those of the language, of the web platform, and more; every object inherits the rest. */
const GLOBAL_NAMES: ReadonlySet<string> = new Set([
  ...Object.getOwnPropertyNames(globalThis),
  ...Object.getOwnPropertyNames(Object.prototype),
  ...SESSION_NAMES,
]);

const JAVASCRIPT_WORDS =
  'arguments as async await break case catch class const continue debugger default delete do else enum eval export extends false finally for from function get if implements import in instanceof interface let new null of package private protected public return set static super switch this throw true try typeof undefined using var void while with yield';
const PYTHON_WORDS =
  'False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda match nonlocal not or pass print raise return self try type while with yield';
const RESERVED_WORDS = new Set(`${JAVASCRIPT_WORDS} ${PYTHON_WORDS}`.split(' '));

/**
 * Why a name cannot be given to a function; null where it can.
 * @param isTaken whether it is a capability's, or one of its globals'
 */
export function capabilityNameProblem(name: string, isTaken: (name: string) => boolean): string | null {
  if (!/^[A-Za-z_]\w{0,63}$/.test(name)) return 'a name is a letter or _, then up to 63 letters, digits and _';
  if (isReserved(name)) return 'it is a word of JavaScript or Python';
  if (isTaken(name)) return 'it is the name of a capability';
  return GLOBAL_NAMES.has(name) ? 'it is the name of a global' : null;
}

/** Whether a word means something in JavaScript or in Python already. */
export function isReserved(word: string): boolean {
  return RESERVED_WORDS.has(word);
}
