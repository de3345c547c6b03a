import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { DaemonProcess } from '../harness/daemon-process.ts';
import { PolicyFolder } from '../harness/policy-folder.ts';

/** A port on which nothing listens, until somebody does. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function sessionThatMayReach(t: ExecutionContext, port: number) {
  const policy = new PolicyFolder();
  t.teardown(() => policy.remove());
  const anything = `{ hosts: ["127.0.0.1:${port}"], addresses: ["127.0.0.0/8"], methods: [GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS] }`;
  policy.grant('trusted', 'fetch', anything);
  const daemon = await DaemonProcess.start(t, {
    args: ['--client-ceiling', 'unrestricted', '--policies', policy.path],
  });
  const client = await daemon.connect();
  const { sessionId } = await client.call('session.create', { level: 'trusted' });
  const admin = await daemon.connect('admin');
  return {
    run: (source: string) => client.call('session.execute', { sessionId, source }),
    retried: async () => (await admin.call('audit.query', { kind: 'capability.retried' })).records,
  };
}

test('a GET of what cannot be reached is tried again, and a POST is not', async (t) => {
  const port = await freePort();
  const { run, retried } = await sessionThatMayReach(t, port);
  const post = await run(`await fetch("http://127.0.0.1:${port}/", { method: "POST", body: "x" })`);
  t.is(post.error?.code, 'EFFECT_FAILED');
  t.deepEqual(await retried(), []);
  const get = await run(`await fetch("http://127.0.0.1:${port}/")`);
  t.is(get.error?.code, 'EFFECT_FAILED');
  t.deepEqual((await retried()).map(({ fields }) => fields['attempt']).toReversed(), [2, 3]);
});

test('what comes back meanwhile is reached, and code notices nothing', async (t) => {
  const port = await freePort();
  const { run, retried } = await sessionThatMayReach(t, port);
  const answered = run(`await (await fetch("http://127.0.0.1:${port}/")).text()`);
  while ((await retried()).length === 0);
  const server: Server = createServer((_, response) => response.end('back')).listen(port, '127.0.0.1');
  t.teardown(() => server.close());
  t.deepEqual((await answered).value, { kind: 'json', json: 'back' });
});
