import test from 'ava';
import type { EventBody, ExecutionResult } from '../../../client/protocol.ts';
import { Entitlements } from '../../../daemon/capabilities/entitlements.ts';
import { Fault } from '../../../daemon/fault.ts';
import { Answers } from '../../../daemon/session/answers.ts';
import { type InputRequest, Inputs } from '../../../daemon/session/inputs.ts';
import { OutputTail } from '../../../daemon/session/output-tail.ts';
import { grantSession, isolatePlan, moveGrant } from '../../../daemon/session/session-grant.ts';
import { SESSION_LIMITS } from '../../../daemon/session/session-limits.ts';
import { BUILT_IN } from '../../../policies/capabilities.ts';
import { shippedPolicy } from '../../policies/shipped-files.ts';

const policy = shippedPolicy();
const nothing = { limits: {}, capabilities: undefined };
const result = (id: string): Promise<ExecutionResult> => Promise.resolve({ executionId: id } as ExecutionResult);

test('an execution is found again by its id and source, and another source of that id is a conflict', (t) => {
  const answers = new Answers();
  const first = result('a');
  answers.add('a', '1', first);
  t.is(answers.find('a', '1'), first);
  t.is(answers.find('b', '1'), undefined);
  t.is(t.throws(() => answers.find('a', '2'), { instanceOf: Fault })?.code, 'EXECUTION_CONFLICT');
});

test('the oldest answers are forgotten first, by number and by size, and never one that still runs', (t) => {
  const answers = new Answers();
  answers.add('running', '1', result('running'));
  for (let index = 0; index <= SESSION_LIMITS.answersKept; index++) {
    answers.add(`e${index}`, '1', result(`e${index}`));
    answers.ended(`e${index}`, 10);
  }
  t.not(answers.find('running', '1'), undefined);
  t.is(answers.find('e0', '1'), undefined);
  t.not(answers.find(`e${SESSION_LIMITS.answersKept}`, '1'), undefined);
  answers.add('huge', '1', result('huge'));
  answers.ended('huge', SESSION_LIMITS.answerBytesKept * 2);
  t.is(answers.find(`e${SESSION_LIMITS.answersKept}`, '1'), undefined);
  t.notThrows(() => answers.ended('unknown', 1));
  t.true(answers.has('running'));
  t.false(answers.has('e0'));
});

function makeInputs() {
  const events: EventBody[] = [];
  const inputs = new Inputs((event) => void events.push(event));
  const ids = () => events.flatMap((event) => (event.kind === 'input.requested' ? [event.requestId] : []));
  let count = 0;
  const answers: (string | null)[] = [];
  const request = (prompt: string, executionId: string | null, waitMs: number, changes: Partial<InputRequest> = {}) =>
    inputs.request({
      ...{ requestId: `inp_${++count}`, prompt, executionId, waitMs, asked: false },
      signal: new AbortController().signal,
      onAnswer: (text) => void answers.push(text),
      ...changes,
    });
  return { inputs, request, events, ids, answers };
}

test('a question that was asked before is not asked again, and one that nobody waits for is taken back', async (t) => {
  const { inputs, request, events, answers } = makeInputs();
  const again = request('name?', 'exe_1', 60_000, { requestId: 'inp_old', asked: true });
  t.deepEqual(events, []);
  inputs.answer('inp_old', 'Ada');
  t.is(await again, 'Ada');
  t.deepEqual(answers, ['Ada']);
  const ending = new AbortController();
  const dropped = request('name?', 'exe_1', 60_000, { signal: ending.signal });
  ending.abort();
  t.is((await t.throwsAsync(dropped, { instanceOf: Fault }))?.code, 'INTERRUPTED');
});

test('a question is settled once, by the first answer', async (t) => {
  const { inputs, request, events, ids } = makeInputs();
  const asked = request('name?', 'exe_1', 60_000);
  const [id = ''] = ids();
  inputs.answer(id, 'Ada');
  t.is(await asked, 'Ada');
  t.is(t.throws(() => inputs.answer(id, 'Bob'), { instanceOf: Fault })?.code, 'UNKNOWN_INPUT');
  t.deepEqual(
    events.map(({ kind }) => kind),
    ['input.requested', 'input.settled'],
  );
});

test('a question may be answered with nothing, with too much, by nobody, or not at all', async (t) => {
  const { inputs, request, ids } = makeInputs();
  const asked = request('', null, 60_000);
  const [id = ''] = ids();
  t.is(
    t.throws(() => inputs.answer(id, 'x'.repeat(SESSION_LIMITS.inputTextBytesMax + 1)), { instanceOf: Fault })?.code,
    'TOO_LARGE',
  );
  inputs.answer(id, null);
  t.is(await asked, null);
  t.is((await t.throwsAsync(request('', null, 1), { instanceOf: Fault }))?.code, 'TIMED_OUT');
  const open = Array.from({ length: SESSION_LIMITS.inputsMax }, () => request('', null, 60_000));
  t.is((await t.throwsAsync(request('', null, 60_000), { instanceOf: Fault }))?.code, 'BUSY');
  inputs.cancelAll();
  for (const question of open) t.is((await t.throwsAsync(question, { instanceOf: Fault }))?.code, 'INTERRUPTED');
});

test('the tail of a stream is its end, and cuts no character in two', (t) => {
  const tail = new OutputTail(4);
  tail.append('ab');
  t.deepEqual([tail.text, tail.cut], ['ab', false]);
  tail.append('cdef'.repeat(10));
  t.deepEqual([tail.text, tail.cut], ['cdef', true]);
  tail.append('\u{1f600}xyz');
  t.is(tail.text, 'xyz');
});

test('a session is given its level, narrowed by what it asked for', (t) => {
  const grant = grantSession(policy, 'restricted', {
    limits: { cellCpuMsMax: 5 },
    capabilities: ['print', 'time', 'random'],
  });
  t.is(grant.limits.cellCpuMsMax, 5);
  t.deepEqual([...grant.grants.keys()].sort(), ['print', 'random', 'time']);
  t.is(
    t.throws(() => grantSession(policy, 'sandbox', { limits: { heapMiBMax: 65 }, capabilities: undefined }), {
      instanceOf: Fault,
    })?.code,
    'LIMIT_DENIED',
  );
  t.is(
    t.throws(() => grantSession(policy, 'sandbox', { limits: {}, capabilities: ['input'] }), { instanceOf: Fault })
      ?.code,
    'CAPABILITY_DENIED',
  );
});

test('moving a session down brings its limits and capabilities down with it', (t) => {
  const asked = { limits: { heapMiBMax: 100, cellCpuMsMax: 10 }, capabilities: ['print', 'input'] };
  const moved = moveGrant(policy, 'sandbox', asked);
  t.is(moved.grant.limits.heapMiBMax, 64);
  t.is(moved.grant.limits.cellCpuMsMax, 10);
  t.deepEqual([...moved.grant.grants.keys()], ['print']);
});

test('an isolate is planned with what was granted and nothing else', (t) => {
  const plan = (level: 'sandbox' | 'trusted') => {
    const grant = grantSession(policy, level, nothing);
    const entitlements = new Entitlements(level, grant.grants, () => policy, BUILT_IN);
    const effects = {
      entitlements,
      outputNames: ['print'],
      isolateCapabilities: { capabilities: [], patient: [], docs: [] },
    };
    return isolatePlan(grant, effects, 'javascript', { seed: '00', argv: null, packages: [] });
  };
  t.like(plan('sandbox').spec, { capabilities: [], outputs: ['print'], liveRandom: false });
  t.like(plan('sandbox').spec.platform, {
    liveClock: false,
    webAssembly: false,
    sharedMemory: false,
    resizableBuffers: false,
  });
  t.like(plan('trusted').spec, { liveRandom: true });
  t.like(plan('trusted').spec.platform, {
    liveClock: true,
    webAssembly: true,
    sharedMemory: true,
    resizableBuffers: true,
  });
});
