import test from 'ava';
import * as v from 'valibot';
import type { Decision, DecisionRequest } from '../../../daemon/capabilities/capability.ts';
import { ReviewCapability } from '../../../daemon/capabilities/review.ts';
import { Fault } from '../../../daemon/fault.ts';
import { allowed, fakeContext } from './_call-context.ts';

const capability = new ReviewCapability();
const parse = (args: unknown[]) => v.parse(capability.args, args);

async function review(decision: Decision, args: unknown[] = [{ sum: 1 }, { title: 'The sum' }], bytesMax = 100) {
  const requests: DecisionRequest[] = [];
  const context = fakeContext({
    requestDecision: (request) => {
      requests.push(request);
      return Promise.resolve(decision);
    },
  });
  const call = allowed('review', parse(args), { waitMsMax: 1000, bytesMax });
  return { answer: await capability.invoke(call, context), requests };
}

const fault = async (decision: Decision, ...rest: [unknown[]?, number?]): Promise<Pick<Fault, 'code' | 'message'>> => {
  const caught: unknown = await review(decision, ...rest).catch((error: unknown) => error);
  if (!(caught instanceof Fault)) throw new Error('no fault', { cause: caught });
  return { code: caught.code, message: caught.message };
};

test('answers the value as it was approved', async (t) => {
  const { answer, requests } = await review({ outcome: 'approved', comment: null });
  t.deepEqual(answer, { sum: 1 });
  t.deepEqual(requests, [{ kind: 'review', title: 'The sum', details: { sum: 1 }, waitMs: 1000, valueBytesMax: 100 }]);
  t.is((await review({ outcome: 'approved', comment: null }, ['x'])).requests[0]?.title, '');
});

test('answers what the reviewer put in its place, also where that is nothing', async (t) => {
  t.deepEqual((await review({ outcome: 'approved', value: { sum: 2 }, comment: null })).answer, { sum: 2 });
  t.is((await review({ outcome: 'approved', value: null, comment: null })).answer, null);
});

test('a refusal is APPROVAL_DENIED with the comment, no answer TIMED_OUT, the session’s end INTERRUPTED', async (t) => {
  t.deepEqual(await fault({ outcome: 'denied', comment: 'too much' }), {
    code: 'APPROVAL_DENIED',
    message: 'The reviewer refused it: too much',
  });
  t.like(await fault({ outcome: 'denied', comment: null }), { message: 'The reviewer refused the value.' });
  t.like(await fault({ outcome: 'timed-out', comment: null }), { code: 'TIMED_OUT' });
  t.like(await fault({ outcome: 'cancelled', comment: null }), { code: 'INTERRUPTED' });
});

test('a value of more than the level’s bytesMax is not put to anyone, and none comes back', async (t) => {
  const approved = { outcome: 'approved', comment: null } as const;
  t.is((await review(approved, ['x'.repeat(8)], 10)).answer, 'x'.repeat(8));
  t.is((await fault(approved, ['x'.repeat(9)], 10)).code, 'TOO_LARGE');
  t.is((await fault({ ...approved, value: 'x'.repeat(9) }, ['x'], 10)).code, 'TOO_LARGE');
});

test('takes a value and at most a title', (t) => {
  t.notThrows(() => parse([null, null]));
  t.notThrows(() => parse([1, { title: 'x'.repeat(8192) }]));
  for (const args of [
    [1, { title: 'x'.repeat(8193) }],
    [1, { title: 1 }],
    [1, { name: 'x' }],
    [1, {}, 2],
  ]) {
    t.throws(() => parse(args), undefined, JSON.stringify(args).slice(0, 40));
  }
});

test('the audit log has the size of the value, not the value', (t) => {
  t.deepEqual(capability.audited(parse([{ sum: 1 }, { title: 'The sum' }])), [{ bytes: 9 }, { title: 'The sum' }]);
  t.deepEqual(capability.audited(parse([1])), [{ bytes: 1 }]);
});

test('asking twice is two reviews, and the clock of the cell stands still meanwhile', (t) => {
  t.false(capability.idempotent);
  t.true(capability.patient);
});
