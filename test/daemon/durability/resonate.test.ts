import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../../daemon/clock.ts';
import { local, remote } from '../../../daemon/durability/resonate.ts';
import { Fault } from '../../../daemon/fault.ts';
import { ResonateServer } from '../../harness/resonate-server.ts';
import { aGroupOutlivesItsMembers } from './group.ts';
import { serverFor } from './runtimes.ts';
import { openStore } from './store-file.ts';

const PARTS = { group: 'g', pid: 'p', leaseMs: 5000, clock: systemClock, log: () => undefined };

async function refusal(t: ExecutionContext, parts: Partial<Parameters<typeof remote>[0]>): Promise<string> {
  const refused = await t.throwsAsync(remote({ url: 'http://127.0.0.1:1', ...PARTS, ...parts }), { instanceOf: Fault });
  t.is((refused as Fault).code, 'UNAVAILABLE');
  return (refused as Fault).message;
}

test('a group outlives its members: one that is killed, and one that stands still for longer than its lease', async (t) => {
  await aGroupOutlivesItsMembers(t, (await serverFor(t)).url);
});

test('a server that cannot be reached is refused at the start, with its address and without its password', async (t) => {
  const gone = await ResonateServer.start();
  const { host } = new URL(gone.url);
  await gone[Symbol.asyncDispose]();
  const http = await refusal(t, { url: `http://${host}/` });
  t.regex(http, /cannot be reached \(.*ECONNREFUSED.*--resonate/);
  t.true(http.includes(`http://${host} `));
  const message = await refusal(t, { url: `postgres://u:secret@${host}/db` });
  t.true(message.includes(`postgres://u@${host}/db cannot be reached (`));
  t.notRegex(message, /secret/);
});

test('a server of a release with other ids is refused at the start, and both releases are named', async (t) => {
  await using server = await ResonateServer.start({ separator: '.' });
  t.regex(
    await refusal(t, { url: server.url }),
    /does not fit @resonatehq\/sdk 0\.11\.5 .*ids separated by ":".*before 0\.10\.0: .*must be prefixed by resonate:origin/,
  );
});

test('what is no Resonate server is refused at the start', async (t) => {
  const server = createServer((_, response) => response.end('hello')).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  t.regex(await refusal(t, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }), /answered HTTP 200/);
});

test('an address, a group, a process or a lease that cannot be is refused at the start', async (t) => {
  for (const url of ['', 'localhost:8001', 'ftp://x', 'file:///x'])
    t.regex(await refusal(t, { url }), /begins with http/);
  t.regex(await refusal(t, { group: 'a/b' }), /group/);
  t.regex(await refusal(t, { pid: '' }), /process id/);
  for (const leaseMs of [299, 3_600_001, Number.NaN]) t.regex(await refusal(t, { leaseMs }), /lease/);
});

test.serial('what the environment says of a server is not listened to', async (t) => {
  const server = await serverFor(t);
  const names = { RESONATE_URL: server.url, RESONATE_TOKEN: 'from the environment' };
  Object.assign(process.env, names);
  t.teardown(() => {
    for (const name of Object.keys(names)) delete process.env[name];
  });
  const runtime = await local({ store: openStore(t, null), clock: systemClock, log: () => undefined });
  await runtime.promises.create('k', null, null);
  await runtime.sessions.open('ses');
  await runtime.stop();
  t.deepEqual(server.kinds, []);
  const other = await remote({ url: server.url, ...PARTS });
  await other.promises.create('k', null, null);
  await other.stop();
  t.false(server.authorizations.includes('Bearer from the environment'));
  t.true(server.kinds.length > 0);
});

test('a token is sent with every request and with the stream', async (t) => {
  const server = await serverFor(t);
  const runtime = await remote({ url: server.url, ...PARTS, token: 'tok' });
  await runtime.promises.create('k', null, null);
  await runtime.stop();
  t.true(server.authorizations.length >= 2);
  t.true(server.authorizations.every((header) => header === 'Bearer tok'));
});

test('a runtime that was stopped does nothing more, and lets the process end', async (t) => {
  const server = await serverFor(t);
  const runtime = await remote({ url: server.url, ...PARTS });
  await runtime.promises.create('k', null, null);
  runtime.promises.watch('k', () => t.fail());
  await runtime.stop();
  const requests = server.kinds.length;
  await t.throwsAsync(runtime.promises.create('l', null, null), { instanceOf: Fault });
  await t.throwsAsync(runtime.sessions.open('ses'));
  t.is(server.kinds.length, requests);
});
