/** A sandbox host without isolates: does what a test puts into a cell's source. */
type Message = { readonly kind: string; readonly isolate?: string; readonly id?: number; readonly source?: string };

const say = (message: object): void => void process.send?.([message]);

process.on('message', (batch: readonly Message[]) => {
  for (const { kind, isolate, id, source = '' } of batch) {
    if (kind === 'host.ping') say({ kind: 'host.pong', id });
    if (kind !== 'cell.run') continue;
    if (source === 'hello') say({ kind: 'output', isolate, cell: 1, stream: 'stdout', text: 'hello' });
    else if (source === 'nonsense') say({ kind: 'nonsense' });
    else if (source === 'no batch') process.send?.('text');
    else if (source === 'die') process.kill(process.pid, 'SIGKILL');
    else if (source === 'memory') say({ kind: 'isolate.lost', isolate, by: 'memory', message: 'too much' });
    else if (source === 'stuck') say({ kind: 'isolate.lost', isolate, by: 'stuck', message: 'stuck' });
    else if (source === 'doomed') say({ kind: 'host.doomed', isolate, message: 'engine' });
    else if (source === 'foreign')
      say({ kind: 'output', isolate: 'f'.repeat(32), cell: 1, stream: 'stdout', text: 'x' });
  }
});
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
say({ kind: 'host.ready', v8: 'scripted' });
