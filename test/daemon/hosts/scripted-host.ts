/** A sandbox host without isolates: does what a test puts into a cell's source. */
import { Socket } from 'node:net';
import { createInterface } from 'node:readline';

type Message = {
  readonly kind: string;
  readonly sha256?: string;
  readonly isolate?: string;
  readonly id?: number;
  readonly source?: string;
};

const channel = new Socket({ fd: 3, readable: true, writable: true });
const told: string[] = [];
const say = (message: object): void => void channel.write(`${JSON.stringify([message])}\n`);

createInterface({ input: channel }).on('line', (line) => {
  for (const { kind, isolate, id, sha256, source = '' } of JSON.parse(line) as Message[]) {
    if (kind === 'host.ping') say({ kind: 'host.pong', id });
    if (kind !== 'cell.run' && kind !== 'host.ping') told.push(sha256 === undefined ? kind : `${kind} ${sha256}`);
    if (kind !== 'cell.run') continue;
    if (source === 'packages') say({ kind: 'output', isolate, cell: 1, stream: 'stdout', text: told.join(', ') });
    if (source === 'hello') say({ kind: 'output', isolate, cell: 1, stream: 'stdout', text: 'hello' });
    else if (source === 'nonsense') say({ kind: 'nonsense' });
    else if (source === 'no batch') channel.write('"text"\n');
    else if (source === 'no JSON') channel.write('[{"kind":\n');
    else if (source === 'bytes') channel.write(Buffer.from([0, 0, 0, 5, 0xff, 0x0f, 0x99, 1, 2, 0x0a]));
    else if (source === 'die') process.kill(process.pid, 'SIGKILL');
    else if (source === 'memory') say({ kind: 'isolate.lost', isolate, by: 'memory', message: 'too much' });
    else if (source === 'stuck') say({ kind: 'isolate.lost', isolate, by: 'stuck', message: 'stuck' });
    else if (source === 'doomed by memory') say({ kind: 'host.doomed', isolate, by: 'memory', message: 'engine' });
    else if (source === 'doomed by stuck') say({ kind: 'host.doomed', isolate, by: 'stuck', message: 'engine' });
    else if (source === 'foreign')
      say({ kind: 'output', isolate: 'f'.repeat(32), cell: 1, stream: 'stdout', text: 'x' });
  }
});
channel.on('close', () => process.kill(process.pid, 'SIGKILL'));
say({ kind: 'host.ready', v8: 'scripted' });
