// Owns the TypeScript compiler: a quarter of a second to load, so it is loaded on first need and then kept.
// It only takes types out and lowers what the engine lacks; it checks nothing.

import { originalPositionFor, TraceMap } from '@jridgewell/trace-mapping';
import type TypeScript from 'typescript-transpiler';
import type { Position } from './prepare-error.ts';

type Compiler = typeof TypeScript;

export type Transpiled =
  | { readonly ok: true; readonly text: string; originalPosition(position: Position): Position }
  | { readonly ok: false; readonly offset: number; readonly message: string };

/** What the parser says about a text: `atEnd` when the first fault is that more was to come. */
export type TypescriptSyntax = 'valid' | 'unfinished' | 'invalid';

let compiler: Compiler | undefined;
let loading: Promise<void> | undefined;

/** Loads the TypeScript compiler. After it, TypeScript cells are prepared synchronously. */
export function warmTypescript(): Promise<void> {
  loading ??= import('typescript-transpiler').then((loaded) => {
    compiler = loaded.default;
  });
  return loading;
}

export function isTypescriptWarm(): boolean {
  return compiler !== undefined;
}

function loaded(): Compiler {
  if (compiler === undefined) throw new Error('TypeScript is not loaded: await warmTypescript() first');
  return compiler;
}

/**
 * Turns the TypeScript of a cell into JavaScript.
 * @throws Error before `warmTypescript` has settled.
 */
export function transpile(source: string): Transpiled {
  const ts = loaded();
  try {
    if (isTooDeep(ts, source)) throw new RangeError('too deep');
    if (!startsWithBrace(ts, source)) return transpileText(ts, source, 0);
    // As in JavaScript: what can be an object literal is one. The newline keeps a last comment from the bracket.
    const literal = transpileText(ts, `(${source}\n)`, 1);
    if (literal.ok) return literal;
    const block = transpileText(ts, source, 0);
    // Of two failed readings, the one that came further is the one the user meant.
    return block.ok || block.offset >= literal.offset ? block : literal;
  } catch (error) {
    // The compiler walks its trees recursively, and gives up on some malformed ones by throwing.
    const message = error instanceof RangeError ? 'The code is nested too deeply' : 'The code could not be transpiled';
    return { ok: false, offset: 0, message };
  }
}

/** @throws Error before `warmTypescript` has settled. */
export function typescriptSyntax(source: string): TypescriptSyntax {
  const ts = loaded();
  if (!startsWithBrace(ts, source)) return syntaxOf(ts, source);
  const readings = [syntaxOf(ts, source), syntaxOf(ts, `(${source}\n)`), syntaxOf(ts, `(${source}`)];
  if (readings[0] === 'valid' || readings[1] === 'valid') return 'valid';
  return readings[0] === 'unfinished' || readings[2] === 'unfinished' ? 'unfinished' : 'invalid';
}

function transpileText(ts: Compiler, source: string, prefixLength: number): Transpiled {
  const { outputText, diagnostics, sourceMapText } = ts.transpileModule(source, {
    fileName: 'cell.ts',
    reportDiagnostics: true,
    compilerOptions: {
      // The newest target keeps decorators, which the engine does not have; the one before it lowers `using`, which it has.
      target: hasDecorators(ts, source) ? ts.ScriptTarget.ES2024 : ts.ScriptTarget.ESNext,
      module: ts.ModuleKind.ESNext,
      isolatedModules: true,
      sourceMap: true,
      alwaysStrict: false,
      ignoreDeprecations: '6.0',
      removeComments: false,
      newLine: ts.NewLineKind.LineFeed,
    },
  });
  const fault = diagnostics?.find((found) => found.file !== undefined && found.start !== undefined);
  if (fault !== undefined) {
    const message = ts.flattenDiagnosticMessageText(fault.messageText, ' ');
    return { ok: false, offset: Math.max((fault.start ?? 0) - prefixLength, 0), message };
  }
  const end = outputText.lastIndexOf('//# sourceMappingURL=');
  return {
    ok: true,
    text: outputText.slice(0, end),
    originalPosition: sourceMapReader(sourceMapText ?? '{}', prefixLength),
  };
}

function sourceMapReader(mapText: string, prefixLength: number): (position: Position) => Position {
  let map: TraceMap | undefined;
  return ({ line, column }) => {
    map ??= new TraceMap(mapText);
    const found = originalPositionFor(map, { line, column: Math.max(column - 1, 0) });
    if (found.line === null) return { line: 1, column: 1 };
    const shift = found.line === 1 ? prefixLength : 0;
    return { line: found.line, column: Math.max(found.column - shift, 0) + 1 };
  };
}

/** The compiler's work on a chain of operators grows with the square of its length: 50,000 take it ten seconds, 5,000 a tenth of one. */
const DEPTH_MAX = 5000;

function isTooDeep(ts: Compiler, source: string): boolean {
  if (source.length < DEPTH_MAX) return false;
  let level: readonly TypeScript.Node[] = [ts.createSourceFile('cell.ts', source, ts.ScriptTarget.ESNext)];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > DEPTH_MAX) return true;
    const next: TypeScript.Node[] = [];
    for (const node of level) ts.forEachChild(node, (child) => void next.push(child));
    level = next;
  }
  return false;
}

function startsWithBrace(ts: Compiler, source: string): boolean {
  const scanner = ts.createScanner(ts.ScriptTarget.ESNext, true);
  scanner.setText(source);
  return scanner.scan() === ts.SyntaxKind.OpenBraceToken;
}

function hasDecorators(ts: Compiler, source: string): boolean {
  if (!source.includes('@')) return false;
  const found = (node: TypeScript.Node): boolean => ts.isDecorator(node) || ts.forEachChild(node, found) === true;
  return found(ts.createSourceFile('cell.ts', source, ts.ScriptTarget.ESNext));
}

const unterminatedString = 1002;
const unterminatedTemplate = 1160;
const unterminatedComment = 1010;

function syntaxOf(ts: Compiler, source: string): TypescriptSyntax {
  const file = ts.createSourceFile('cell.ts', source, ts.ScriptTarget.ESNext);
  // The parser's own findings are on the file, though its published type leaves them out.
  const { parseDiagnostics } = file as TypeScript.SourceFile & { parseDiagnostics: TypeScript.Diagnostic[] };
  const [first] = parseDiagnostics;
  if (first === undefined) return 'valid';
  if (first.code === unterminatedTemplate || first.code === unterminatedComment) return 'unfinished';
  if (first.code === unterminatedString) return source.trimEnd().endsWith('\\') ? 'unfinished' : 'invalid';
  return (first.start ?? 0) >= source.trimEnd().length ? 'unfinished' : 'invalid';
}
