import test, { type ExecutionContext } from 'ava';
import type { AuditRecord } from '../../../client/protocol.ts';
import { Fault } from '../../../daemon/fault.ts';
import { type AuditQuery, CALLS_MAX } from '../../../daemon/policy/past-calls.ts';
import { policyHandlers } from '../../../daemon/policy/policy-handlers.ts';
import type { Caller } from '../../../daemon/transport/caller.ts';
import { editedFiles, shippedFiles } from '../../policies/shipped-files.ts';
import { openStore, sleepOf, withSleep } from './policy-fixture.ts';

const NOW = Date.parse('2026-03-02T12:00:00Z');
const caller = { principal: 'admin-7', role: 'admin' } as unknown as Caller;

function decision(seq: number, fields: Readonly<Record<string, unknown>>): AuditRecord {
  const kind = 'capability.decision';
  return {
    seq,
    at: '2026-03-02T00:00:00.000Z',
    kind,
    prev: '',
    hash: '',
    fields: { sessionId: 's1', level: 'restricted', ...fields },
  };
}

/** Handlers over a store and an audit log of these records, oldest first. */
function handlersOver(t: ExecutionContext, records: readonly AuditRecord[] = []) {
  const opened = openStore(t);
  const queries: AuditQuery[] = [];
  const newestFirst = records.toReversed();
  const audit = {
    query: (query: AuditQuery) => {
      queries.push(query);
      const start = Number(query.cursor ?? 0);
      const matching = newestFirst.filter(
        ({ fields }) => query.verdict === undefined || fields['verdict'] === query.verdict,
      );
      const end = start + Math.min(query.limit, 700);
      return { records: matching.slice(start, end), cursor: end < matching.length ? String(end) : null };
    },
  };
  const handlers = policyHandlers({
    store: opened.store,
    audit,
    nowMs: () => NOW,
    refuse: (capability, [time], { msMax }) =>
      capability === 'sleep' && (time as number) > (msMax as number) ? `sleep() may last at most ${msMax} ms` : null,
  });
  return { ...opened, handlers, queries };
}

test('policy.list names the levels in ascending order, the folder and the hash', async (t) => {
  const { handlers, store, folder } = handlersOver(t);
  const answer = await handlers['policy.list']({}, caller);
  t.like(answer, { hash: store.hash, source: folder });
  t.like(answer, {
    levels: [
      { level: 'sandbox', rank: 10, extends: null },
      { level: 'restricted', extends: 'sandbox' },
    ],
  });
});

test('policy.show has the file of a level as it stands, and every rule with its place', async (t) => {
  const { handlers, store } = handlersOver(t);
  const answer = await handlers['policy.show']({ level: 'TRUSTED' }, caller);
  t.like(answer, { level: 'trusted', extends: 'standard', auditSync: 'interval', hash: store.hash });
  if (!('text' in answer)) return t.fail();
  t.is(answer.text, shippedFiles().find(({ name }) => name === 'trusted.yaml')?.text ?? '');
  t.like(
    answer.grants.find(({ capability }) => capability === 'dns'),
    {
      ruleId: 'standard/grants/dns',
      file: 'standard.yaml',
      line: 20,
      rate: '600/minute',
      approval: 'never',
      budget: null,
    },
  );
  t.deepEqual(answer.limits['timersMax'], { value: 10_000, file: 'sandbox.yaml', line: 35 });
});

test('a mistyped level or capability is answered with the nearest right name', async (t) => {
  const { handlers } = handlersOver(t);
  const fails = (act: () => unknown, message: RegExp) =>
    t.throws(act, { instanceOf: Fault, code: 'INVALID_PARAMS', message });
  fails(
    () => handlers['policy.show']({ level: 'trustde' }, caller),
    /There is no level "trustde"; did you mean "trusted"\?/,
  );
  fails(
    () => handlers['policy.explain']({ level: 'trusted', capability: 'ftech' }, caller),
    /no capability "ftech"; did you mean "fetch"\?/,
  );
  fails(() => handlers['policy.explain']({ level: 'trustde', capability: 'fetch' }, caller), /did you mean "trusted"/);
});

test('policy.validate answers what is wrong, and fails for nothing', async (t) => {
  const { handlers } = handlersOver(t);
  t.deepEqual(await handlers['policy.validate']({ files: shippedFiles() }, caller), { ok: true, problems: [] });
  const files = editedFiles('sandbox', (text) => text.replace('print:', 'prnt:'));
  t.like(await handlers['policy.validate']({ files }, caller), {
    ok: false,
    problems: [{ file: 'sandbox.yaml', line: 8 }],
  });
});

test('what is wrong with a policy fits into a message, however much it is', async (t) => {
  const { handlers } = handlersOver(t);
  const files = [
    { name: 'sandbox.yaml', text: Array.from({ length: 20_000 }, (_, index) => `k${index}: 1`).join('\n') },
  ];
  const answer = await handlers['policy.validate']({ files }, caller);
  t.like(answer, { ok: false, problems: { length: 500 } });
  const { details } = t.throws(() => handlers['policy.apply']({ files }, caller), { instanceOf: Fault });
  t.like(details, { problems: { length: 500 } });
});

test('policy.explain names the rule, its file and line; with arguments the constraint that refuses', async (t) => {
  const { handlers } = handlersOver(t);
  const ask = (args?: unknown[]) =>
    handlers['policy.explain']({ level: 'restricted', capability: 'sleep', ...(args && { args }) }, caller);
  t.like(await ask(), {
    verdict: 'allow',
    ruleId: 'restricted/grants/sleep',
    file: 'restricted.yaml',
    line: 11,
    grant: { constraints: { msMax: 60_000 } },
  });
  t.like(await ask([60_000]), { verdict: 'allow' });
  t.like(await ask([60_001]), { verdict: 'deny', file: 'restricted.yaml', line: 11, lowestLevel: 'standard' });
  const other = await handlers['policy.explain'](
    { level: 'restricted', capability: 'sleep', args: [60_001], files: withSleep(70_000) },
    caller,
  );
  t.like(other, { verdict: 'allow' });
  t.like(await handlers['policy.explain']({ level: 'sandbox', capability: 'exec' }, caller), {
    verdict: 'deny',
    ruleId: 'default-deny',
    file: null,
    line: null,
    grant: null,
  });
});

test('policy.test runs a table, and says what is wrong with one that cannot be read', async (t) => {
  const { handlers } = handlersOver(t);
  const table =
    '- {level: restricted, capability: sleep, args: [60001], expect: deny, why: at most 60000}\n- {level: sandbox, capability: log, expect: deny}';
  t.like(await handlers['policy.test']({ table }, caller), {
    passed: 1,
    failed: 1,
    rows: [
      { line: 1, ok: true },
      { line: 2, ok: false },
    ],
  });
  t.like(await handlers['policy.test']({ table, files: withSleep(70_000) }, caller), { passed: 0, failed: 2 });
  const { details } = t.throws(() => handlers['policy.test']({ table: '- {levl: a}' }, caller), {
    instanceOf: Fault,
    code: 'POLICY_INVALID',
  });
  t.like(details, { problems: [{ file: 'table', line: 1, column: 4 }, { line: 1 }, { line: 1 }, { line: 1 }] });
});

test('policy.diff says what an edit changes, and which calls of the last day it would decide otherwise', async (t) => {
  const { handlers, queries } = handlersOver(t, [
    decision(1, { capability: 'sleep', args: [65_000], verdict: 'deny', code: 'CAPABILITY_DENIED' }),
    decision(2, { capability: 'sleep', args: [10], verdict: 'allow' }),
    decision(3, { capability: 'sleep', args: [75_000], verdict: 'deny', code: 'CAPABILITY_DENIED' }),
    decision(4, { capability: 'sleep', args: [65_000], verdict: 'deny', code: 'RATE_LIMITED' }),
    decision(5, { capability: 'sleep', args: '[65000]', verdict: 'deny', code: 'CAPABILITY_DENIED' }),
    decision(6, { capability: 'sleep', args: ['[cut]'], verdict: 'deny', code: 'CAPABILITY_DENIED' }),
    decision(7, { capability: 'sleep', args: [65_000], verdict: 'allow', approvalId: 'apr_1' }),
    decision(8, { capability: 'fetch', args: { operation: 'read' }, verdict: 'allow' }),
  ]);
  const answer = await handlers['policy.diff']({ to: withSleep(70_000) }, caller);
  if (!('changes' in answer)) return t.fail();
  t.deepEqual(answer.changes, [
    { level: 'restricted', capability: 'sleep', allows: 'more', words: 'sleep: msMax 60000 ms becomes 70000 ms' },
  ]);
  t.is(answer.callsConsidered, 5);
  t.like(answer.decidedOtherwise, [
    { seq: 5, was: 'deny', becomes: 'allow' },
    { seq: 1, at: '2026-03-02T00:00:00.000Z', level: 'restricted', capability: 'sleep', was: 'deny', becomes: 'allow' },
  ]);
  t.like(queries, [{ kind: 'capability.decision', since: '2026-03-01T12:00:00.000Z' }]);
  const back = await handlers['policy.diff']({ from: withSleep(70_000), sinceHours: 2 }, caller);
  t.like(back, { changes: [{ allows: 'less' }], decidedOtherwise: { length: 0 } });
  t.is(queries.at(-1)?.since, '2026-03-02T10:00:00.000Z');
  await t.throwsAsync(async () => handlers['policy.diff']({ to: [] }, caller), { code: 'POLICY_INVALID' });
  t.truthy(await handlers['policy.diff']({ sinceHours: 2 ** 40 }, caller));
});

test('policy.diff looks at 10,000 calls at most, whatever the log holds', async (t) => {
  const records = Array.from({ length: CALLS_MAX + 500 }, (_, seq) =>
    decision(seq, { capability: 'sleep', args: [1], verdict: 'allow' }),
  );
  const { handlers } = handlersOver(t, records);
  t.like(await handlers['policy.diff']({ to: withSleep(70_000) }, caller), { callsConsidered: CALLS_MAX });
});

test('policy.apply puts files in force in the name of its caller, or only says what it would change', async (t) => {
  const { handlers, store, audit } = handlersOver(t);
  const before = store.hash;
  t.like(await handlers['policy.apply']({ files: withSleep(70_000), dryRun: true }, caller), { previousHash: before });
  t.is(store.hash, before);
  t.like(await handlers['policy.apply']({ files: withSleep(70_000) }, caller), {
    hash: store.hash,
    previousHash: before,
  });
  t.is(sleepOf(store), 70_000);
  t.is(audit.of('policy.applied')[1]?.['by'], 'admin-7');
});

test('policy.learn makes grants of what a session was denied, in the order of its calls', async (t) => {
  const { handlers, queries } = handlersOver(t, [
    decision(1, { capability: 'sleep', args: [65_000], verdict: 'deny', code: 'CAPABILITY_DENIED' }),
    decision(2, { capability: 'exec', args: null, verdict: 'deny', code: 'CAPABILITY_DENIED' }),
    decision(3, { capability: 'sleep', args: [1], verdict: 'allow' }),
  ]);
  const answer = await handlers['policy.learn']({ sessionId: 's1' }, caller);
  t.like(answer, { denied: 2 });
  if (!('yaml' in answer)) return t.fail();
  t.regex(
    answer.yaml,
    /that level restricted denied[\s\S]*\n {2}sleep:\n {4}msMax: 65000\n {2}# Needed by exec\n[\s\S]* {2}exec: true\n$/,
  );
  t.like(queries, [{ sessionId: 's1', verdict: 'deny' }]);
});
