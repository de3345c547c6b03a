import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { connect, PyreplError } from '../../client/index.ts';
import { PolicyFolder } from '../harness/policy-folder.ts';
import { ResonateServer } from '../harness/resonate-server.ts';
import { arrives, connected, DaemonGroup, executed, faultOf, type Member } from './_daemon-group.ts';
import { CountedEffects } from './_effects.ts';
import { keptInWhateverDaemon } from './_group-keys.ts';
import { killedInTheMiddle } from './_group-program.ts';
import { jsonOf } from './_survivor.ts';

async function serverFor(t: ExecutionContext): Promise<ResonateServer> {
  t.timeout(170_000);
  const server = await ResonateServer.start();
  t.teardown(() => server[Symbol.asyncDispose]());
  return server;
}

for (const [title, kind, name] of [
  ['before an effect', 'before', 'd'],
  ['after an effect, before its outcome', 'after', 'd'],
  ['after the last effect', 'after', 'f'],
] as const)
  test.serial(
    `one of two daemons is killed ${title} in a cell with six calls, and the other finishes it`,
    async (t) => {
      const { url } = await serverFor(t);
      await killedInTheMiddle(t, url, kind, name);
    },
  );

test.serial('a daemon that stood still for longer than its lease does nothing more for its sessions', async (t) => {
  const { url } = await serverFor(t);
  const effects = new CountedEffects(t);
  const group = new DaemonGroup(t, url, effects.args);
  const [one, two] = [await group.start('one'), await group.start('two')];
  const { sessionId } = await one.client.call('session.create', { level: 'trusted' });
  effects.mark('hold', 'a');
  const source = 'const first = await tally("a"); const then = await strike("b"); [first, then]';
  const closed = once(one.client.socket, 'close');
  void executed(one, sessionId, source, 'cell').catch(() => undefined);
  await effects.begun('a');
  one.daemon.child.kill('SIGSTOP');
  effects.release('a');
  await arrives(two, { sessionId });
  t.is((await executed(two, sessionId, source, 'cell')).status, 'ok');
  t.is(effects.done.filter((name) => name === 'b').length, 1);
  one.daemon.child.kill('SIGCONT');
  t.is((await closed)[0], 4005, 'who follows the session is told to attach anew');
  const back = { ...one, client: await connected(one.daemon) };
  const fault = await faultOf(back.client.call('session.attach', { sessionId }));
  t.is(fault?.code, 'SESSION_MOVED');
  t.like(fault?.details, { daemon: 'two', clientSocket: two.daemon.clientSocket });
  t.is(
    effects.done.filter((name) => name === 'b').length,
    1,
    'and the one that stood still has done it no second time',
  );
  t.is(jsonOf(await executed(two, sessionId, 'then')), 1);
});

test.serial('while the server cannot be reached nothing new is begun, and what runs goes on afterwards', async (t) => {
  const server = await serverFor(t);
  const effects = new CountedEffects(t);
  const one = await new DaemonGroup(t, server.url, [...effects.args, '--lease-ms', '60000']).start('one');
  const { sessionId } = await one.client.call('session.create', { level: 'trusted' });
  effects.mark('hold', 'a');
  const running = executed(one, sessionId, 'const x = [await tally("a"), await strike("b")]; x', 'running');
  await effects.begun('a');
  server.isCutOff = true;
  effects.release('a');
  // Nobody knows of it before something had to be shared: what is asked until then waits.
  const ask = () => Promise.race([faultOf(executed(one, sessionId, '1')), sleep(200).then(() => undefined)]);
  let refused = await ask();
  while (refused === undefined) refused = await ask();
  t.is(refused.code, 'UNAVAILABLE');
  t.regex(refused.message, /Resonate server/);
  t.is((await faultOf(one.client.call('session.create', {})))?.code, 'UNAVAILABLE');
  t.deepEqual(effects.done, ['a'], 'no effect begins that others could not know of');
  server.isCutOff = false;
  t.deepEqual(jsonOf(await running), [1, 1]);
  t.is(jsonOf(await executed(one, sessionId, 'x.length')), 2);
});

test.serial('a daemon that drains hands over what waits, and another answers it at once', async (t) => {
  const { url } = await serverFor(t);
  const group = new DaemonGroup(t, url);
  const [one, two] = [await group.start('one', ['--lease-ms', '600000']), await group.start('two')];
  const { sessionId } = await one.client.call('session.create', { level: 'standard' });
  const source = 'const name = await input("name?"); "Hello " + name';
  void executed(one, sessionId, source, 'cell').catch(() => undefined);
  const asked = await one.client.event(({ kind }) => kind === 'input.requested');
  const requestId = asked.kind === 'input.requested' ? asked.requestId : '';
  t.is(await one.daemon.stop(), 0);
  await arrives(two, { sessionId });
  await two.client.call('input.answer', { sessionId, requestId, text: 'Ada' });
  t.is(jsonOf(await executed(two, sessionId, source, 'cell')), 'Hello Ada');
});

test.serial('a session is found through any daemon by whom it belongs to, and by nobody else', async (t) => {
  const { url } = await serverFor(t);
  const group = new DaemonGroup(t, url);
  const [one, two] = [await group.start('one'), await group.start('two')];
  const { sessionId } = await one.client.call('session.create', { level: 'standard' });
  const fault = await faultOf(two.client.call('session.attach', { sessionId }));
  t.is(fault?.code, 'SESSION_MOVED');
  t.like(fault?.details, { daemon: 'one', clientSocket: one.daemon.clientSocket });
  const stranger = await connected(two.daemon, 'a-stranger-of-the-tests-0123456789');
  t.is((await faultOf(stranger.call('session.attach', { sessionId })))?.code, 'UNKNOWN_SESSION');
  t.is((await faultOf(two.client.call('session.attach', { sessionId: 'ses_none' })))?.code, 'UNKNOWN_SESSION');
  await one.client.call('session.close', { sessionId });
  t.is((await faultOf(two.client.call('session.attach', { sessionId })))?.code, 'UNKNOWN_SESSION');
});

test.serial('what sleeps, its checkpoints and long outputs are taken over; what was closed is not', async (t) => {
  const { url } = await serverFor(t);
  const group = new DaemonGroup(t, url);
  const [one, two] = [await group.start('one'), await group.start('two')];
  const { sessionId } = await one.client.call('session.create', { level: 'standard' });
  const { sessionId: closed } = await one.client.call('session.create', { level: 'standard' });
  t.is(jsonOf(await executed(one, sessionId, 'let n = 1; n')), 1);
  await one.client.call('checkpoint.create', { sessionId, name: 'then' });
  // More than goes into one entry, and often enough for the journal to be compacted.
  await executed(one, sessionId, 'for (let i = 0; i < 20; i++) print("x".repeat(20_000)); n = 2');
  for (let i = 0; i < 300; i++) await executed(one, sessionId, 'n += 1');
  await one.client.call('session.detach', { sessionId });
  t.true((await one.client.call('session.hibernate', { sessionId })).hibernated);
  await one.client.call('session.close', { sessionId: closed });
  await one.daemon.stop('SIGKILL');
  await arrives(two, { sessionId });
  t.is(jsonOf(await executed(two, sessionId, 'n')), 302);
  await two.client.call('checkpoint.restore', { sessionId, name: 'then' });
  t.is(jsonOf(await executed(two, sessionId, 'n')), 1);
  t.is((await faultOf(two.client.call('session.attach', { sessionId: closed })))?.code, 'UNKNOWN_SESSION');
  const { sessions } = await two.client.call('session.list', {});
  t.deepEqual(
    sessions.map((each) => each.sessionId),
    [sessionId],
  );
});

test.serial('what a session has put into its key-value store is there in whatever daemon it goes on', async (t) => {
  const { url } = await serverFor(t);
  await keptInWhateverDaemon(t, url);
});

test.serial('a store that sessions share is one for all daemons, also when both change it', async (t) => {
  const { url } = await serverFor(t);
  const policies = new PolicyFolder().grant(
    'trusted',
    'kv',
    '{ stores: [session, shared], valueBytesMax: 65536, totalBytesMax: 4194304, keysMax: 10000 }',
  );
  t.teardown(() => policies.remove());
  const group = new DaemonGroup(t, url, ['--policies', policies.path]);
  const members = [await group.start('one'), await group.start('two')];
  const count = `
    const options = { store: "shared" };
    for (let done = 0; done < 20; ) {
      const found = await kv.entry("n", options);
      try {
        await kv.set("n", (found?.value ?? 0) + 1, { ...options, ifVersion: found?.version ?? null });
        done++;
      } catch (error) {
        if (error.code !== "CONFLICT") throw error;
      }
    }`;
  const sessions = await Promise.all(members.map(({ client }) => client.call('session.create', { level: 'trusted' })));
  const run = (source: string) =>
    Promise.all(members.map((member, at) => executed(member, sessions[at]?.sessionId ?? '', source)));
  for (const { status } of await run(count)) t.is(status, 'ok');
  for (const result of await run('await kv.get("n", options)')) t.is(jsonOf(result), 40);
});

test.serial('a session that was stopped in the middle of computing is taken over as its image', async (t) => {
  const { url } = await serverFor(t);
  const group = new DaemonGroup(t, url);
  const [one, two] = [await group.start('one'), await group.start('two')];
  const { sessionId } = await one.client.call('session.create', { level: 'standard' });
  await executed(one, sessionId, 'let n = 0; const kept = new Map([["k", { deep: [1] }]])');
  /** Ends it while it computes, and answers what it has come to, which nothing can come to again. */
  const stopped = async (member: Member, time: string): Promise<number> => {
    const running = executed(member, sessionId, `print("${time} time"); for (;;) n++`);
    await member.client.event((event) => event.kind === 'output' && event.text.includes(`${time} time`));
    await member.client.call('session.interrupt', { sessionId });
    t.is((await running).error?.code, 'INTERRUPTED');
    return jsonOf(await executed(member, sessionId, 'n')) as number;
  };
  const first = await stopped(one, 'first');
  await one.client.call('checkpoint.create', { sessionId, name: 'then' });
  const later = await stopped(one, 'second');
  t.true(later > first && first > 0);
  t.true((await one.client.call('session.hibernate', { sessionId })).hibernated);
  await one.daemon.stop('SIGKILL');
  await arrives(two, { sessionId });
  t.deepEqual(jsonOf(await executed(two, sessionId, '[n, kept.get("k").deep]')), [later, [1]]);
  // Often enough for the journal to be compacted, which the images outlive.
  for (let i = 0; i < 600; i++) await executed(two, sessionId, '1');
  const three = await group.start('three');
  await two.daemon.stop('SIGKILL');
  await arrives(three, { sessionId });
  t.is(jsonOf(await executed(three, sessionId, 'n')), later);
  await three.client.call('checkpoint.restore', { sessionId, name: 'then' });
  t.is(jsonOf(await executed(three, sessionId, 'n')), first);
});

test.serial('the typed client is told where its session has gone, and goes on with it there', async (t) => {
  const { url } = await serverFor(t);
  const group = new DaemonGroup(t, url);
  const [one, two] = [await group.start('one'), await group.start('two')];
  const client = await connect({ socketPath: one.daemon.clientSocket });
  t.teardown(() => client.close());
  const session = await client.createSession({ level: 'standard' });
  t.is((await session.execute('let n = 41; n')).status, 'ok');
  const source = 'const name = await input("name?"); name + n';
  const running = session.execute(source, { executionId: 'cell' });
  const waiting = running.then(
    () => undefined,
    (error: unknown) => (error as PyreplError).code,
  );
  while ((await session.show()).state !== 'running');
  one.daemon.child.kill('SIGSTOP');
  const there = await connect({ socketPath: two.daemon.clientSocket, token: client.hello.token });
  t.teardown(() => there.close());
  const attached = async () => {
    for (;;) {
      try {
        return await there.attachSession(session.sessionId, { afterSeq: 0 });
      } catch (error) {
        if (!(error instanceof PyreplError) || !['SESSION_MOVED', 'UNAVAILABLE'].includes(error.code)) throw error;
        await sleep(50);
      }
    }
  };
  const moved = await attached();
  one.daemon.child.kill('SIGCONT');
  t.is(await waiting, 'SESSION_MOVED');
  t.true(session.closed);
  moved.onInput(async () => 'Ada');
  const result = await moved.execute(source, { executionId: 'cell' });
  t.deepEqual(result.value, { kind: 'json', json: 'Ada41' });
});
