import type { FreeTarget } from './scope.ts';
import type { SourceEdits } from './source-edits.ts';

/**
 * Makes assignments to constants throw, as the language has it. A top-level `const` is a property of the global object
 * here, so the engine would not: each target `k` becomes a property whose setter assigns to a real constant of that
 * name. What is assigned is evaluated first, in place, and every form of assignment keeps its meaning (`k += e` reads
 * `k`, `k ||= e` assigns only if it must, patterns and loop heads take the property as they took the name).
 */
export function rewriteConstantTargets(edits: SourceEdits, targets: readonly FreeTarget[]): void {
  for (const { node, shorthand } of targets) {
    const text = throwingTarget(node.name);
    edits.replace(node.start, node.end, shorthand ? `${node.name}: ${text}` : text);
  }
}

// It starts with `new`, because a statement that starts with a bracket would be read as going on with the line before.
function throwingTarget(name: string): string {
  const value = name === 'x' ? 'y' : 'x';
  return `new function(){return{get v(){return ${name}},set v(${value}){const ${name}=0;${name}=${value}}}}().v`;
}
