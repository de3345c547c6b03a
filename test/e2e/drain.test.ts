import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { DaemonProcess, type RawClient } from '../harness/daemon-process.ts';
import { PolicyFolder } from '../harness/policy-folder.ts';

const TOKEN = 'a-token-for-both-daemons-0123456789';
const LONG = ['--client-ceiling', 'unrestricted', '--drain-ms', '60000'];
/** Long enough to be running while the test looks, and short enough to wait for. */
const BUSY = 'let end = performance.now() + 400; while (performance.now() < end); "finished"';

async function started(
  t: ExecutionContext,
  args = LONG,
  stateDir?: string,
): Promise<{ daemon: DaemonProcess; client: RawClient }> {
  const daemon = await DaemonProcess.start(t, { args, ...(stateDir === undefined ? {} : { stateDir }) });
  const client = await daemon.connect();
  await client.call('daemon.hello', { token: TOKEN });
  return { daemon, client };
}

async function ended({ child, running }: DaemonProcess): Promise<number | null> {
  if (running) await once(child, 'exit');
  return child.exitCode;
}

async function draining(admin: RawClient): Promise<boolean> {
  return (await admin.call('daemon.stats', {})).draining;
}

test('SIGTERM lets the running cell finish and answer, takes nothing new meanwhile, and ends with 0', async (t) => {
  const { daemon, client } = await started(t);
  const { sessionId } = await client.call('session.create', { level: 'trusted' });
  const other = (await client.call('session.create', {})).sessionId;
  const known = { sessionId: other, executionId: 'known', source: '6*7' };
  await client.call('session.execute', known);
  const cell = client.call('session.execute', { sessionId, source: BUSY });
  await client.event(({ kind, sessionId: of }) => kind === 'execution.started' && of === sessionId);
  const admin = await daemon.connect('admin');
  t.false(await draining(admin));
  daemon.child.kill('SIGTERM');
  while (!(await draining(admin)));
  for (const refused of [
    client.call('session.execute', { sessionId: other, source: '1' }),
    client.call('session.create', {}),
  ]) {
    const fault = await t.throwsAsync(refused, { message: /draining/ });
    t.is((fault as unknown as { code: string }).code, 'UNAVAILABLE');
  }
  t.deepEqual((await client.call('session.execute', known)).value, { kind: 'json', json: 42 });
  t.deepEqual((await cell).value, { kind: 'json', json: 'finished' });
  t.is(await ended(daemon), 0);
});

test('a second signal does not wait, and what it cut short goes on in the next daemon', async (t) => {
  const { daemon, client } = await started(t);
  const { sessionId } = await client.call('session.create', { level: 'trusted' });
  const source =
    'globalThis.runs = (globalThis.runs ?? 0) + 1; let sum = 0; for (let i = 0; i < 3e9; i++) sum += i; runs';
  const asked = { sessionId, executionId: 'long', source };
  client.call('session.execute', asked).catch(() => undefined);
  await client.event(({ kind }) => kind === 'execution.started');
  const admin = await daemon.connect('admin');
  daemon.child.kill('SIGTERM');
  while (!(await draining(admin)));
  daemon.child.kill('SIGINT');
  t.is(await ended(daemon), 0);
  const next = await started(t, LONG, daemon.stateDir);
  const result = await next.client.call('session.execute', asked);
  t.deepEqual(result.value, { kind: 'json', json: 1 });
});

test('what waits for a person or a sleep is not waited for, fails nobody, and goes on in the next daemon', async (t) => {
  const { daemon, client } = await started(t);
  const sources = ['`hello ${await input("? ")}`', 'await approve("may I?")', 'await sleep(1500); "slept"'];
  const cells: { sessionId: string; executionId: string; source: string }[] = [];
  for (const [index, source] of sources.entries()) {
    const { sessionId } = await client.call('session.create', { level: 'trusted' });
    const asked = { sessionId, executionId: `waits-${index}`, source };
    client.call('session.execute', asked).catch(() => undefined);
    cells.push(asked);
  }
  await client.event(({ kind }) => kind === 'input.requested');
  await client.event(({ kind }) => kind === 'approval.requested');
  await client.event(({ kind, sessionId }) => kind === 'execution.started' && sessionId === cells[2]?.sessionId);
  const admin = await daemon.connect('admin');
  const { graceMs } = await admin.call('daemon.drain', {});
  t.is(graceMs, 60_000);
  t.is(await ended(daemon), 0);

  const next = await started(t, LONG, daemon.stateDir);
  const answers = cells.map((asked) => next.client.call('session.execute', asked));
  const nextAdmin = await next.daemon.connect('admin');
  const { approvals } = await nextAdmin.call('approval.list', {});
  t.is(approvals.length, 1);
  const [{ approvalId = '', hash = '' } = {}] = approvals;
  await nextAdmin.call('approval.settle', { approvalId, hash, decision: 'approve' });
  const [first] = cells;
  await next.client.call('session.attach', { sessionId: first?.sessionId ?? '', afterSeq: 0 });
  const question = await next.client.event(({ kind }) => kind === 'input.requested');
  const { requestId } = question as unknown as { requestId: string };
  await next.client.call('input.answer', { sessionId: first?.sessionId ?? '', requestId, text: 'Ada' });
  const values = (await Promise.all(answers)).map(({ value }) => value);
  t.deepEqual(
    values,
    ['hello Ada', true, 'slept'].map((json) => ({ kind: 'json', json })),
  );
  const { records } = await nextAdmin.call('audit.query', { kind: 'approval.settled' });
  t.deepEqual(
    records.map(({ fields }) => fields['outcome']),
    ['approved'],
  );
});

test('a program that still runs when the grace is over is killed, and is in doubt afterwards instead of failed', async (t) => {
  const policy = new PolicyFolder();
  t.teardown(() => policy.remove());
  policy.edit('policy', /$/, '\nprograms: { wait: { path: /bin/sleep } }\n');
  policy.edit('unrestricted', 'programs: []', 'programs: [wait]');
  const args = [...LONG, '--policies', policy.path];
  const { daemon, client } = await started(t, args);
  const { sessionId } = await client.call('session.create', { level: 'unrestricted' });
  const asked = { sessionId, executionId: 'program', source: 'await exec("wait", ["47.11"])' };
  client.call('session.execute', asked).catch(() => undefined);
  const admin = await daemon.connect('admin');
  for (let found = 0; found === 0; )
    found = (await admin.call('audit.query', { kind: 'capability.decision', capability: 'exec' })).records.length;
  t.is((await admin.call('daemon.drain', { graceMs: 100 })).busy, 1);
  t.is(await ended(daemon), 0);

  const next = await started(t, args, daemon.stateDir);
  const nextAdmin = await next.daemon.connect('admin');
  const answer = next.client.call('session.execute', asked);
  const { approvals } = await nextAdmin.call('approval.list', {});
  t.like(approvals, [{ kind: 'doubt', capability: 'exec' }]);
  const [{ approvalId = '', hash = '' } = {}] = approvals;
  await nextAdmin.call('approval.settle', { approvalId, hash, decision: 'deny' });
  t.is((await answer).error?.code, 'IN_DOUBT');
});
