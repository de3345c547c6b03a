import test from 'ava';
import * as v from 'valibot';
import { ApproveCapability } from '../../../daemon/capabilities/approve.ts';
import type { Decision, DecisionRequest } from '../../../daemon/capabilities/capability.ts';
import { Fault } from '../../../daemon/fault.ts';
import { allowed, fakeContext } from './_call-context.ts';

const capability = new ApproveCapability();
const parse = (args: unknown[]) => v.parse(capability.args, args);

async function ask(decision: Decision, args: unknown[] = ['Send it?', { sum: 1 }], waitMsMax = 1000) {
  const requests: DecisionRequest[] = [];
  const context = fakeContext({
    requestDecision: (request) => {
      requests.push(request);
      return Promise.resolve(decision);
    },
  });
  const call = allowed('approve', parse(args), { waitMsMax });
  return { answer: await capability.invoke(call, context), requests };
}

test('asks with the code’s own words, waits as long as the level lets it, and answers true for an approval', async (t) => {
  const { answer, requests } = await ask({ outcome: 'approved', comment: null });
  t.true(answer);
  t.deepEqual(requests, [{ kind: 'approve', title: 'Send it?', details: { sum: 1 }, waitMs: 1000 }]);
  t.is((await ask({ outcome: 'approved', comment: null }, ['Send it?'])).requests[0]?.details, null);
});

test('a denial and no answer are both false', async (t) => {
  t.false((await ask({ outcome: 'denied', comment: 'no' })).answer);
  t.false((await ask({ outcome: 'timed-out', comment: null })).answer);
});

test('where the session ended there is no answer', async (t) => {
  const asking = ask({ outcome: 'cancelled', comment: null });
  t.is((await t.throwsAsync(asking, { instanceOf: Fault }))?.code, 'INTERRUPTED');
});

test('the question is a text of at most 8192 characters, the details JSON of at most 64 KiB', (t) => {
  t.notThrows(() => parse(['x'.repeat(8192), 'y'.repeat(64 * 1024 - 2)]));
  for (const args of [[], [''], [1], ['x'.repeat(8193)], ['a', 'y'.repeat(64 * 1024 - 1)], ['a', 1, 2]]) {
    t.throws(() => parse(args), undefined, JSON.stringify(args).slice(0, 40));
  }
});

test('the audit log has the question, and of the details their size', (t) => {
  t.deepEqual(capability.audited(parse(['Send it?', { sum: 1 }])), ['Send it?', { bytes: 9 }]);
  t.deepEqual(capability.audited(parse(['Send it?'])), ['Send it?']);
});

test('asking twice is two questions, and the clock of the cell stands still meanwhile', (t) => {
  t.false(capability.idempotent);
  t.true(capability.patient);
});
