/** `input()`: guest code asks, the session's client answers, and the clock of the cell waits. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { RpcFault } from '../harness/daemon-process.ts';
import { FileDaemon, type TestSession } from './_file-daemon.ts';

const WAIT_MS_MAX = 400;

/** The shipped levels, but for how long a question of the lowest level that may ask one waits. */
const policies = mkdtempSync(join(tmpdir(), 'pyrepl3-policies-'));
cpSync(fileURLToPath(import.meta.resolve('../../policies/levels')), policies, { recursive: true });
const restricted = join(policies, 'restricted.yaml');
writeFileSync(restricted, readFileSync(restricted, 'utf8').replace(/waitMsMax: \d+/, `waitMsMax: ${WAIT_MS_MAX}`));

const file = new FileDaemon(test, { args: ['--client-ceiling', 'unrestricted', '--policies', policies] });
test.after.always(() => rmSync(policies, { recursive: true, force: true }));

function answer({ client, sessionId }: TestSession, requestId: string, text: string | null): Promise<unknown> {
  return client.call('input.answer', { sessionId, requestId, text });
}

test('an answer comes back as the text that was given, and is told once', async (t) => {
  const session = await file.session({ level: 'standard' });
  const result = session.run('const name = await input("Who are you? "); `Hello ${name}`');
  const { requestId, prompt, executionId } = await session.event('input.requested');
  t.is(prompt, 'Who are you? ');
  await answer(session, requestId, 'Ada\u2028😀');
  const { value, capabilityCalls, executionId: own } = await result;
  t.deepEqual(value, { kind: 'json', json: 'Hello Ada\u2028😀' });
  t.is(capabilityCalls, 1);
  t.is(executionId, own);
  t.is((await session.event('input.settled')).outcome, 'answered');
  const again = await t.throwsAsync(answer(session, requestId, 'late'));
  t.is((again as unknown as RpcFault).code, 'UNKNOWN_INPUT');
});

test('no answer, as null, is null; the empty text is the empty text', async (t) => {
  const session = await file.session({ level: 'standard' });
  const result = session.run('[await input(), await input("again")]');
  const first = await session.event('input.requested');
  await answer(session, first.requestId, null);
  const second = await session.event('input.requested', ({ requestId }) => requestId !== first.requestId);
  await answer(session, second.requestId, '');
  t.deepEqual((await result).value, { kind: 'json', json: [null, ''] });
});

test('an unknown request, and a request of another session, is UNKNOWN_INPUT, and the question stays open', async (t) => {
  const [session, other] = [await file.session({ level: 'standard' }), await file.session({ level: 'standard' })];
  const result = session.run('await input()');
  const { requestId } = await session.event('input.requested');
  for (const attempt of [answer(session, 'inp_wrong', 'x'), answer(other, requestId, 'x')]) {
    const error = await t.throwsAsync(attempt);
    t.is((error as unknown as RpcFault).code, 'UNKNOWN_INPUT');
  }
  await answer(session, requestId, 'right');
  t.deepEqual((await result).value, { kind: 'json', json: 'right' });
});

test('a question that nobody answers in time rejects with TIMED_OUT, which guest code can catch', async (t) => {
  const session = await file.session({ level: 'restricted' });
  const { error } = await session.run('await input("anyone?")');
  t.like(error, { name: 'Timeout', message: `Nobody answered input() within ${WAIT_MS_MAX} ms.` });
  t.is((await session.event('input.settled')).outcome, 'timed-out');
  const caught = await session.value('try { await input() } catch (error) { [error.name, error.code] }');
  t.deepEqual(caught, { kind: 'json', json: ['Timeout', 'TIMED_OUT'] });
});

test('the wall clock of a cell stands still while it waits for a person, and runs again after', async (t) => {
  const session = await file.session({ level: 'restricted', limits: { cellWallMsMax: 200, cellCpuMsMax: 200 } });
  const caught = await session.run('try { await input() } catch (error) { error.code }');
  t.deepEqual(caught.value, { kind: 'json', json: 'TIMED_OUT' }, 'it waited twice as long as its wall clock allows');
  const { error } = await session.run('try { await input() } catch {} await new Promise(() => {})');
  t.is(error?.code, 'TIMED_OUT');
});

test('a second connection of the same client sees the question and may answer it; a stranger may not', async (t) => {
  const session = await file.session({ level: 'standard' });
  const { sessionId } = session;
  const result = session.run('await input("either of you")');
  const { requestId } = await session.event('input.requested');
  const stranger = await file.daemon.connect();
  const refused = await t.throwsAsync(stranger.call('input.answer', { sessionId, requestId, text: 'mine' }));
  t.is((refused as unknown as RpcFault).code, 'UNKNOWN_SESSION');
  const second = await file.daemon.connect();
  await second.call('daemon.hello', { token: (await session.client.call('daemon.hello', {})).token });
  await second.call('session.attach', { sessionId, afterSeq: 0 });
  const seen = await second.event(({ kind }) => kind === 'input.requested');
  t.is(seen.kind === 'input.requested' ? seen.requestId : '', requestId);
  await second.call('input.answer', { sessionId, requestId, text: 'second' });
  t.deepEqual((await result).value, { kind: 'json', json: 'second' });
  for (const client of [stranger, second]) client.close();
});

test('an interrupt ends a cell that waits for an answer', async (t) => {
  const session = await file.session({ level: 'standard' });
  const { sessionId, client } = session;
  await session.run('var kept = 1');
  const result = session.run('await input()');
  await session.event('input.requested');
  await client.call('session.interrupt', { sessionId });
  t.is((await result).error?.code, 'INTERRUPTED');
  t.deepEqual(await session.value('kept'), { kind: 'json', json: 1 });
});

test('closing the session cancels its questions', async (t) => {
  const session = await file.session({ level: 'standard' });
  const { sessionId, client } = session;
  const result = session.run('await input()');
  await session.event('input.requested');
  await client.call('session.close', { sessionId });
  t.is((await session.event('input.settled')).outcome, 'cancelled');
  t.is((await result).error?.code, 'SESSION_CLOSED');
});

test('arguments that input() does not take are refused with its signature', async (t) => {
  const session = await file.session({ level: 'standard' });
  for (const source of [
    'await input(1)',
    'await input("a", "b")',
    'await input("x".repeat(9000))',
    'await input({})',
  ]) {
    const { error } = await session.run(source);
    t.is(error?.name, 'InvalidArguments', source);
    t.regex(error?.message ?? '', /function input\(prompt\?: string\)/);
  }
  t.is((await session.run('await input(() => {})')).error?.name, 'TypeError');
});
