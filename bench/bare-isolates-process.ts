/** Bare isolated-vm in a process of its own: answers the requests of {@link BareIsolates} with samples. */
import ivm from 'isolated-vm';
import type { BareRequest } from './baseline.ts';
import { rate, time } from './measure.ts';

const HEAP_MIB = 64;
const CALL = `(send) => {
  const waiting = new Map();
  let calls = 0;
  globalThis.call = () => new Promise((resolve) => { waiting.set(++calls, resolve); send(calls); });
  return (call) => waiting.get(call)(call);
}`;

function open(heapMiB: number = HEAP_MIB): { isolate: ivm.Isolate; context: ivm.Context } {
  const isolate = new ivm.Isolate({ memoryLimit: heapMiB });
  return { isolate, context: isolate.createContextSync() };
}

async function newSessions(count: number): Promise<number[]> {
  const isolates: ivm.Isolate[] = [];
  const samples = await time(count, async () => {
    const isolate = new ivm.Isolate({ memoryLimit: HEAP_MIB });
    isolates.push(isolate);
    const context = await isolate.createContext();
    await context.eval('1+1');
  });
  for (const isolate of isolates) isolate.dispose();
  return samples;
}

async function rates(count: number): Promise<number[]> {
  const all = Array.from({ length: 64 }, () => open());
  const perSecond = await rate(count, all.length, (lane) =>
    (all[lane] as { context: ivm.Context }).context.eval('1+1'),
  );
  for (const { isolate } of all) isolate.dispose();
  return [perSecond];
}

async function calls(count: number): Promise<number[]> {
  const { isolate, context } = open();
  const settle = (await context.eval(CALL, { reference: true })) as ivm.Reference;
  let enter: ivm.Reference | undefined;
  let settled: Promise<unknown> | undefined;
  const receive = (call: number): void => {
    settled = enter?.apply(undefined, [call], { timeout: 1000 });
  };
  const send = new ivm.Callback(receive, { ignored: true } as object);
  enter = (await settle.apply(undefined, [send], { result: { reference: true } })) as ivm.Reference;
  const samples = await time(count, () => context.eval('call()', { promise: true, timeout: 1000 }));
  // The last entry goes on for a moment after the promise that it settles.
  await settled;
  isolate.dispose();
  return samples;
}

async function evaluate(source: string, heapMiB: number): Promise<number[]> {
  const { isolate, context } = open(heapMiB);
  await context.eval(source);
  isolate.dispose();
  return [];
}

const live = open();

function answer(request: BareRequest): Promise<number[]> {
  switch (request.ask) {
    case 'new-session':
      return newSessions(request.count);
    case 'round-trip':
      return time(request.count, () => live.context.eval('1+1'));
    case 'rate':
      return rates(request.count);
    case 'call':
      return calls(request.count);
    case 'evaluate':
      return evaluate(request.source, request.heapMiB);
  }
}

process.on('message', (request: BareRequest) => void answer(request).then((samples) => process.send?.(samples)));
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
