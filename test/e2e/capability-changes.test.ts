/** Names are given to running sessions and taken from them: by an edit of the policy's files, and by `policy.apply`. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { PolicyFolder } from '../harness/policy-folder.ts';
import { AdministeredDaemon } from './_administered.ts';

const file = new AdministeredDaemon(test, (policy) => {
  policy.grant('standard', 'sleep', '{ msMax: 3600000 }');
  policy.grant('standard', 'hash', '{ algorithms: [sha256, sha512], bytesMax: 100 }');
});
const SHIPPED = filesOf(file.policy);

test.afterEach.always('every test begins with the same policy', async () => {
  await (await file.admin).call('policy.apply', { files: SHIPPED });
});

function filesOf(policy: PolicyFolder) {
  return readdirSync(policy.path)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => ({ name, text: readFileSync(join(policy.path, name), 'utf8') }));
}

function withHashForRestricted() {
  const [from, to] = ['grants:\n', 'grants:\n  hash: { algorithms: [sha256], bytesMax: 100 }\n'];
  return SHIPPED.map(({ name, text }) => ({ name, text: name === 'restricted.yaml' ? text.replace(from, to) : text }));
}

const json = (value: unknown) => ({ kind: 'json' as const, json: value });
const withoutHash = (policy: PolicyFolder) => policy.edit('standard', /^ {2}hash: .*\n/m, '');
const ABC = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';

test.serial('a name that an edit takes away is gone at the next call, by whatever reference code kept', async (t) => {
  const session = await file.session({ level: 'standard' });
  const { sessionId } = session;
  t.deepEqual(await session.value('const kept = hash, o = { hash }; await kept("sha256", "abc")'), json(ABC));
  await file.edit(withoutHash);
  const changed = await session.event('capabilities.changed');
  t.false(changed.capabilities.includes('hash'));
  for (const call of ['hash', 'kept', 'o.hash', 'globalThis["ha" + "sh"]', 'hash.bind(null)']) {
    const { error } = await session.run(`await ${call}("sha256", "abc")`);
    t.like(
      error,
      { code: 'CAPABILITY_DENIED', details: { capability: 'hash', level: 'standard', lowestLevel: null } },
      call,
    );
  }
  t.false((await session.client.call('session.show', { sessionId })).capabilities.includes('hash'));
  const { fields } = await file.record('capability.withdrawn', (of) => of['sessionId'] === sessionId);
  t.deepEqual(fields['capabilities'], ['hash']);
});

test.serial(
  'what was taken away and is called all the same is a denial in the audit log, once for each name and cell',
  async (t) => {
    const session = await file.session({ level: 'standard' });
    const { sessionId } = session;
    await session.run('const kept = hash');
    await file.edit(withoutHash);
    await session.event('capabilities.changed');
    const denials = async () =>
      (await file.records('capability.decision', { sessionId })).filter(({ fields }) => fields['verdict'] === 'deny');
    const attempt = 'await kept("sha256", "abc").catch((e) => e.code)';
    t.deepEqual(await session.value(attempt), json('CAPABILITY_DENIED'));
    const [denial, ...others] = await denials();
    t.deepEqual(others, []);
    t.like(denial?.fields, {
      capability: 'hash',
      code: 'CAPABILITY_DENIED',
      level: 'standard',
      callId: null,
      args: null,
    });
    t.is(typeof denial?.fields['executionId'], 'string');
    await session.run(`for (let i = 0; i < 20_000; i++) ${attempt}`);
    t.is((await denials()).length, 2, 'a loop is one record');
    t.is((await session.run('await kept("sha256", "abc")')).error?.code, 'CAPABILITY_DENIED');
    t.is((await denials()).length, 3, 'and so is one that code does not catch');
  },
);

test.serial('a cell that goes on running loses the name in its middle', async (t) => {
  const session = await file.session({ level: 'standard' });
  const running = await session.start(
    'let n = 0; try { for (;;) { await hash("sha256", "abc"); n++; await sleep(1) } } catch (e) { [n > 0, e.code] }',
    'loop',
  );
  await file.record('capability.outcome', (of) => of['sessionId'] === session.sessionId);
  await file.edit(withoutHash);
  t.deepEqual((await running.result).value, json([true, 'CAPABILITY_DENIED']));
});

test.serial('what is under way of a capability that is taken away ends with it', async (t) => {
  const session = await file.session({ level: 'standard' });
  const running = await session.start('try { await sleep(3600000) } catch (error) { error.code }', 'wait');
  await file.record('capability.decision', (of) => of['sessionId'] === session.sessionId);
  // The grant that standard inherits would be the narrower one; both have to go.
  await file.edit((policy) => {
    policy.edit('standard', /^ {2}sleep: .*\n/m, '').edit('restricted', /^ {2}sleep: .*\n/m, '');
  });
  t.is((await running.result).status, 'ok');
  t.deepEqual((await running.result).value, json('INTERRUPTED'));
});

test.serial('a constraint that an edit narrows binds running sessions at their next call', async (t) => {
  const session = await file.session({ level: 'standard' });
  t.is((await session.run('await hash("sha512", "a".repeat(100))')).status, 'ok');
  await file.edit((policy) => policy.grant('standard', 'hash', '{ algorithms: [sha256], bytesMax: 50 }'));
  for (const call of ['hash("sha512", "a")', 'hash("sha256", "a".repeat(51))']) {
    t.is((await session.run(`await ${call}`)).status, 'error', call);
  }
  t.is((await session.run('await hash("sha256", "a".repeat(50))')).status, 'ok');
});

test.serial('what an edit widens is for new sessions alone', async (t) => {
  const session = await file.session({ level: 'restricted' });
  await file.edit((policy) => {
    policy.grant('restricted', 'hash', '{ algorithms: [sha256], bytesMax: 100 }');
    policy.grant('standard', 'hash', '{ algorithms: [sha256], bytesMax: 1000 }');
  });
  t.like((await session.run('await hash("sha256", "abc")')).error, { code: 'CAPABILITY_DENIED' });
  t.deepEqual(await session.value('typeof hash'), json('undefined'));
  const later = await file.session({ level: 'restricted' });
  t.deepEqual(await later.value('await hash("sha256", "abc")'), json(ABC));
});

test.serial(
  'what an edit took from a running session comes back with the edit undone: it was given it once',
  async (t) => {
    const session = await file.session({ level: 'standard' });
    await session.run('const kept = hash');
    await file.edit(withoutHash);
    t.is((await session.run('await kept("sha256", "abc")')).error?.code, 'CAPABILITY_DENIED');
    await file.edit((policy) => policy.grant('standard', 'hash', '{ algorithms: [sha256, sha512], bytesMax: 100 }'));
    t.deepEqual(await session.value('[await kept("sha256", "abc"), kept === hash]'), json([ABC, true]));
    const [injected] = await file.records('capability.injected', { sessionId: session.sessionId });
    t.deepEqual(injected?.fields['capabilities'], ['hash']);
  },
);

test.serial('policy.apply with widenRunning gives running sessions what their level grants now', async (t) => {
  const session = await file.session({ level: 'restricted' });
  const narrowed = await file.session({ level: 'restricted', capabilities: ['print'] });
  await (await file.admin).call('policy.apply', { files: withHashForRestricted(), widenRunning: true });
  t.true((await session.event('capabilities.changed')).capabilities.includes('hash'));
  t.deepEqual(await session.value('await hash("sha256", "abc")'), json(ABC));
  const { fields } = await file.record('capability.injected', (of) => of['sessionId'] === session.sessionId);
  t.deepEqual(fields['capabilities'], ['hash']);
  t.deepEqual(await narrowed.value('typeof hash'), json('undefined'), 'a session that asked for less still has less');
  t.deepEqual(await file.records('capability.injected', { sessionId: narrowed.sessionId }), []);
});

test.serial('a name that code has taken is not given over its head, and the session goes on', async (t) => {
  const session = await file.session({ level: 'restricted' });
  await session.run('const hash = "mine"');
  await (await file.admin).call('policy.apply', { files: withHashForRestricted(), widenRunning: true });
  t.regex((await session.event('log')).text, /hash could not be given/);
  t.deepEqual(await session.value('hash'), json('mine'));
});
