/**
 * How long does `1+1` take in a live Python session over the client socket, and in Pyodide in plain Node?
 *
 * Pyodide is asked over the channel of a child process, which costs less than a socket and a journal. Does not measure: output, code
 * that awaits, several connections.
 */
import { PlainPyodide } from './baseline.ts';
import { startDaemon } from './bench-daemon.ts';
import { type Question, time, timingRow } from './measure.ts';
import { withSnapshot } from './snapshot-cache.ts';

const TARGET_MS = 1;

export const pythonRoundTrip: Question = {
  name: 'python-round-trip',
  async run(size) {
    const cached = await withSnapshot();
    await using daemon = await startDaemon(cached);
    await using plain = new PlainPyodide();
    const { client } = daemon;
    const sessionId = await client.open({ language: 'python' });
    const [rounds, each] = size === 'full' ? [10, 200] : [1, 5];
    const ours: number[] = [];
    const bare: number[] = [];
    // Round -1 warms both up.
    for (let round = -1; round < rounds; round++) {
      const samples = await time(each, () => client.run(sessionId, '1+1'));
      const bareSamples = await time(each, () => plain.run('1+1'));
      if (round < 0) continue;
      ours.push(...samples);
      bare.push(...bareSamples);
    }
    return [timingRow('1+1 in a live Python session, journalled', ours, bare, TARGET_MS)];
  },
};
