/** Pyodide as it comes, in a Node process of its own: answers the sources of {@link PlainPyodide} with their values. */
import { loadPyodide } from 'pyodide';

let pyodide: Awaited<ReturnType<typeof loadPyodide>> | undefined;
process.on('message', async ({ source }: { readonly source: string }) => {
  pyodide ??= await loadPyodide();
  process.send?.(pyodide.runPython(source) ?? null);
});
process.on('disconnect', () => process.exit());
