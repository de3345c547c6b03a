/** Which cell a call goes back to: what an earlier one has left behind is not the work of the cell that runs. */
import test from 'ava';
import type { FromHost } from '../../sandbox/protocol.ts';
import { Hosted, SPEC } from './_hosted.ts';
import { RecordedLife } from './_recorded-life.ts';

const host = new Hosted();
test.after.always(() => host.close());

type Call = Extract<FromHost, { kind: 'call' }>;
const ofIsolate = (isolate: string) => (said: { readonly isolate: string }) => said.isolate === isolate;
const origins = (calls: readonly Call[]) =>
  calls.map(({ argsJson, cell, origin }) => [JSON.parse(argsJson)[0], cell, origin]);

test('a call goes back to the cell whose code, timer or call has led to it, and in an isolate made again to the same', async (t) => {
  const life = new RecordedLife(host, 'origins');
  const settle = (call: number) =>
    host.tell({ kind: 'call.settle', isolate: 'origins', call, ok: true, json: '"answer"' });
  host.open('origins');
  await host.run('origins', 'input("left").then(() => setTimeout(() => { input("in a timer of it"); }, 1)); 0');
  const [left] = life.said('call');
  const second = host.start('origins', 'await input("own"); await input("and on")');
  const own = await host.heard('call', (said) => said.argsJson.includes('own'));
  settle(left?.call as number);
  const inTimer = await host.heard('call', (said) => said.argsJson.includes('timer'));
  settle(inTimer.call);
  settle(own.call);
  settle((await host.heard('call', (said) => said.argsJson.includes('and on'))).call);
  await host.done(second);
  const expected = [
    ['left', 1, 1],
    ['own', 2, 2],
    ['in a timer of it', 2, 1],
    ['and on', 2, 2],
  ];
  t.deepEqual(origins(life.said('call')), expected);

  host.tell({ kind: 'isolate.open', isolate: 'again', spec: SPEC, openedMs: life.openedMs });
  host.tell({ kind: 'isolate.replay', isolate: 'again', steps: life.steps, last: true });
  t.is((await host.heard('isolate.replayed', ofIsolate('again'))).problem, null);
  const again = host.said.filter((said): said is Call => said.kind === 'call' && said.isolate === 'again');
  t.deepEqual(origins(again), expected);
});
