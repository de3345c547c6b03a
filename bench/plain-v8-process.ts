/** Plain V8 in a process of its own: answers the sources of {@link PlainV8} with their values. */
import { constants, createContext, Script } from 'node:vm';

let runs = 0;
process.on('message', ({ source }: { readonly source: string }) => {
  const context = createContext(constants.DONT_CONTEXTIFY);
  // V8 remembers by its text how a script got hot. The text of a cell is new to it each time, for its name is in it: so is this.
  const text = `${source}\n//# sourceURL=plain:${++runs}\n`;
  process.send?.(new Script(text).runInContext(context));
});
process.on('disconnect', () => process.exit());
