// Runs what its parent sends in Pyodide as it comes, and answers the value of the last expression.
import { loadPyodide } from 'pyodide';

const pyodide = await loadPyodide({ stdout: () => undefined, stderr: () => undefined });
process.on('message', (source) => {
  try {
    process.send({ value: pyodide.runPython(source) });
  } catch (error) {
    process.send({ error: String(error?.message ?? error).slice(-1000) });
  }
});
