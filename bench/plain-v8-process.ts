/** Plain V8 in a process of its own: answers the sources of {@link PlainV8} with their value and their CPU time. */
import { constants, createContext, Script } from 'node:vm';

let runs = 0;
process.on('message', ({ source }: { readonly source: string }) => {
  const context = createContext(constants.DONT_CONTEXTIFY);
  // V8 remembers by its text how a script got hot. The text of a cell is new to it each time, for its name is in it: so is this.
  const text = `${source}\n//# sourceURL=plain:${++runs}\n`;
  const before = process.threadCpuUsage();
  const value: unknown = new Script(text).runInContext(context);
  const { user, system } = process.threadCpuUsage(before);
  process.send?.({ value, cpuMs: (user + system) / 1000 });
});
process.on('disconnect', () => process.exit());
