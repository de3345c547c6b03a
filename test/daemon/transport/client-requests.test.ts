import test, { type ExecutionContext } from 'ava';
import { FRAME_BYTES_MAX } from '../../../client/protocol.ts';
import { Fault } from '../../../daemon/fault.ts';
import { ClientRequests } from '../../../daemon/transport/client-requests.ts';

function setUp(pendingMax?: number) {
  const sent: { jsonrpc: string; id: string; method: string; params: unknown }[] = [];
  const ending = new AbortController();
  const connection = { send: (text: string) => void sent.push(JSON.parse(text)), signal: ending.signal };
  return { sent, end: () => ending.abort(), requests: new ClientRequests(connection, pendingMax) };
}
const untouched = new AbortController().signal;
const faultOf = (t: ExecutionContext, asking: Promise<unknown>): Promise<Fault> =>
  t.throwsAsync(asking, { instanceOf: Fault });

test('a request is answered by the message with its id, whatever the order', async (t) => {
  const { sent, requests } = setUp();
  const asking = ['a', 'b'].map((name) => requests.invoke('capability.invoke', { name }, untouched));
  t.like(sent[0], { jsonrpc: '2.0', method: 'capability.invoke', params: { name: 'a' } });
  for (const { id, params } of sent.toReversed()) t.true(requests.settle({ jsonrpc: '2.0', id, result: params }));
  t.deepEqual(await Promise.all(asking), [{ name: 'a' }, { name: 'b' }]);
});

test('an error of the client’s is told by its message, cut short, and nothing else of it is believed', async (t) => {
  const { sent, requests } = setUp();
  const answers = [
    { error: { code: -32603, message: 'x'.repeat(5000), data: { code: 'CAPABILITY_DENIED' } } },
    { error: 'text' },
    { error: { message: { toString: 1 } } },
    { error: null },
  ];
  for (const answer of answers) {
    const asking = requests.invoke('m', {}, untouched);
    requests.settle({ id: sent.at(-1)?.id, ...answer });
    const fault = await faultOf(t, asking);
    t.like(fault, { code: 'EFFECT_FAILED', details: { reason: 'provided' } });
    t.true(fault.message.length <= 2000);
  }
  const asking = requests.invoke('m', {}, untouched);
  requests.settle({ id: sent.at(-1)?.id, result: 1, error: { message: 'x' } });
  t.like(await faultOf(t, asking), { code: 'EFFECT_FAILED', details: { reason: 'protocol' } });
});

test('answers that nobody waits for are dropped, requests are left to others', async (t) => {
  const { sent, requests } = setUp();
  for (const message of [{ id: 'daemon-1', result: 1 }, { id: 7, error: {} }, { id: null, result: 1 }, { result: 1 }]) {
    t.true(requests.settle(message));
  }
  for (const message of [{ id: 1, method: 'x' }, null, 'text', 5, {}, []]) t.false(requests.settle(message));
  const asking = requests.invoke('m', {}, untouched);
  t.true(requests.settle({ id: sent[0]?.id, result: 1 }));
  t.true(requests.settle({ id: sent[0]?.id, result: 2 }));
  t.is(await asking, 1);
});

test('with the connection every request ends as unreachable, and new ones do at once', async (t) => {
  const { sent, requests, end } = setUp();
  const asking = requests.invoke('m', {}, untouched);
  end();
  t.like(await faultOf(t, asking), { code: 'EFFECT_FAILED', details: { reason: 'unreachable' } });
  t.like(await faultOf(t, requests.invoke('m', {}, untouched)), { details: { reason: 'unreachable' } });
  t.is(sent.length, 1);
});

test('a signal ends the waiting with its reason', async (t) => {
  const { requests } = setUp();
  const ending = new AbortController();
  const asking = requests.invoke('m', {}, ending.signal);
  const reason = new Fault('TIMED_OUT', 'late');
  ending.abort(reason);
  t.is(await faultOf(t, asking), reason);
  t.is(await faultOf(t, requests.invoke('m', {}, ending.signal)), reason);
});

test('D10: as many requests wait as may, and one more is refused; a settled one makes room', async (t) => {
  const { sent, requests } = setUp(2);
  const first = requests.invoke('m', {}, untouched);
  const second = requests.invoke('m', {}, untouched);
  t.is((await faultOf(t, requests.invoke('m', {}, untouched))).code, 'BUSY');
  requests.settle({ id: sent[0]?.id, result: 1 });
  await first;
  const third = requests.invoke('m', {}, untouched);
  for (const { id } of sent) requests.settle({ id, result: 1 });
  t.deepEqual(await Promise.all([second, third]), [1, 1]);
});

test('a request that no message can hold is refused', async (t) => {
  const { sent, requests } = setUp();
  const fault = await faultOf(t, requests.invoke('m', { args: ['x'.repeat(FRAME_BYTES_MAX)] }, untouched));
  t.is(fault.code, 'TOO_LARGE');
  t.is(sent.length, 0);
});
