import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { selfSignedCertificate, trustCertificates } from './_certificate.ts';
import { Fetcher, failure, faultOf } from './_fetching.ts';
import { closedPort, startHttpServer, startTcpServer } from './_loopback-servers.ts';
import { addressesOf, startNameServer } from './_name-server.ts';

const known = selfSignedCertificate('known.test');
const unknown = selfSignedCertificate('known.test');
trustCertificates(known);

for (const host of [
  '127.0.0.1',
  'localhost',
  'localhost.',
  'LOCALHOST',
  '0.0.0.0',
  '[::]',
  '[::1]',
  '[::ffff:127.0.0.1]',
  '[::127.0.0.1]',
  '[64:ff9b::127.0.0.1]',
  '[2002:7f00:1::]',
  '127.1',
  '127.0.0.1.',
  '2130706433',
  '0x7f000001',
  '0x7f.1',
  '0177.0.0.1',
  '①②⑦.⓪.⓪.①',
  '127。0。0。1',
  '%31%32%37.0.0.1',
]) {
  test(`H01: ${host} is refused once it is an address, and no connection is made`, async (t) => {
    const server = await startHttpServer(t, (_, response) => response.end('secret'));
    const fetcher = new Fetcher({ constraints: { addresses: [] } });
    t.is(await failure(fetcher.open(`http://${host}:${server.port}/`)), 'CAPABILITY_DENIED');
    t.is(server.connections(), 0);
  });
}

test('H01: a public name that leads to a private address is refused', async (t) => {
  const server = await startHttpServer(t, (_, response) => response.end('secret'));
  const names = await startNameServer(
    t,
    addressesOf({
      '127.0.0.1.nip.io': ['127.0.0.1'],
      'mapped.test': ['::ffff:127.0.0.1'],
      'mixed.test': ['8.8.8.8', '127.0.0.1'],
      'mixed6.test': ['2600::1', 'fd00::1'],
    }),
  );
  const fetcher = new Fetcher({ constraints: { addresses: [] }, nameServer: names.address });
  for (const host of ['127.0.0.1.nip.io', 'mapped.test', 'mixed.test', 'mixed6.test']) {
    t.is(await failure(fetcher.open(`http://${host}:${server.port}/`)), 'CAPABILITY_DENIED', host);
  }
  t.is(server.connections(), 0);
});

test('H04: the names of metadata services are refused', async (t) => {
  const names = await startNameServer(
    t,
    addressesOf({
      'metadata.google.internal': ['169.254.169.254'],
      'instance-data': ['169.254.169.254'],
      'instance-data.ec2.internal': ['fd00:ec2::254'],
      'metadata.azure.internal': ['168.63.129.16'],
      'metadata.aliyun.test': ['100.100.100.200'],
      'metadata.oracle.test': ['192.0.0.192'],
    }),
  );
  const fetcher = new Fetcher({ nameServer: names.address });
  for (const host of [
    'metadata.google.internal',
    'instance-data',
    'instance-data.ec2.internal',
    'metadata.azure.internal',
    'metadata.aliyun.test',
    'metadata.oracle.test',
    '169.254.169.254',
    '[fd00:ec2::254]',
    '168.63.129.16',
    '100.100.100.200',
  ]) {
    t.is(await failure(fetcher.open(`http://${host}/latest/meta-data/`)), 'CAPABILITY_DENIED', host);
  }
});

test('a name server that answers differently each time reaches only what was checked', async (t) => {
  const port = (await startHttpServer(t, (_, response) => response.end('checked'))).port;
  const hidden = await startHttpServer(t, (_, response) => response.end('secret'), { host: '127.0.0.2', port });
  let asked = 0;
  const names = await startNameServer(t, (_, type) =>
    type === 'A' ? [asked++ === 0 ? '127.0.0.1' : '127.0.0.2'] : [],
  );
  const fetcher = new Fetcher({ nameServer: names.address });
  const url = `http://rebinding.test:${port}/`;
  t.is(await fetcher.text(await fetcher.open(url)), 'checked');
  t.deepEqual(names.questions.toSorted(), ['rebinding.test A', 'rebinding.test AAAA']);
  t.is(await failure(fetcher.open(url)), 'CAPABILITY_DENIED');
  t.is(hidden.connections(), 0);
});

test('one forbidden answer among allowed ones is enough to refuse', async (t) => {
  const server = await startHttpServer(t, (_, response) => response.end());
  const names = await startNameServer(t, addressesOf({ 'both.test': ['127.0.0.1', '127.0.0.2'] }));
  const fetcher = new Fetcher({ nameServer: names.address });
  t.is(await failure(fetcher.open(`http://both.test:${server.port}/`)), 'CAPABILITY_DENIED');
  t.is(server.connections(), 0);
});

test('tries the next checked address where one does not answer', async (t) => {
  const server = await startHttpServer(t, (_, response) => response.end('here'), { host: '127.0.0.2' });
  const names = await startNameServer(t, addressesOf({ 'both.test': ['127.0.0.1', '127.0.0.2'] }));
  const fetcher = new Fetcher({ nameServer: names.address, constraints: { addresses: ['127.0.0.0/8'] } });
  t.is(await fetcher.text(await fetcher.open(`http://both.test:${server.port}/`)), 'here');
});

test('H12: an unlisted host, an unlisted port and a private address are refused in the same words', async (t) => {
  const names = await startNameServer(t, addressesOf({ 'a.test': ['10.0.0.1'] }));
  const message = async (hosts: readonly string[]) => {
    const fetcher = new Fetcher({ nameServer: names.address, constraints: { hosts, addresses: [] } });
    return (await faultOf(fetcher.open('http://a.test:81/'))).message;
  };
  const unlisted = await message(['b.test:*']);
  t.is(await message(['a.test:82']), unlisted);
  t.is(await message(['a.test:81']), unlisted);
});

test('H12: a closed port and a name that is not there fail in the same words, none of them the system’s', async (t) => {
  const names = await startNameServer(t, addressesOf({ 'closed.test': ['127.0.0.1'] }));
  const fetcher = new Fetcher({ nameServer: names.address });
  const port = await closedPort(t);
  for (const host of ['closed.test', 'absent.test']) {
    const fault = await faultOf(fetcher.open(`http://${host}:${port}/`));
    t.is(fault.message, `${host}:${port} could not be reached.`);
    t.deepEqual(fault.details, { reason: 'unreachable' });
  }
});

test('a name server that is silent costs no more than the time allowed', async (t) => {
  const names = await startNameServer(t, () => 'silence');
  const fetcher = new Fetcher({ nameServer: names.address, constraints: { timeMsMax: 50 } });
  t.is(await failure(fetcher.open('http://a.test/')), 'EFFECT_FAILED timed-out');
});

test('TLS is checked against the name, at the address that was checked', async (t) => {
  const server = await startHttpServer(t, (request, response) => response.end(request.headers.host), {
    certificate: known,
  });
  const names = await startNameServer(t, addressesOf({ 'known.test': ['127.0.0.1'], 'other.test': ['127.0.0.1'] }));
  const fetcher = new Fetcher({ nameServer: names.address });
  const opened = await fetcher.open(`https://known.test.:${server.port}/`);
  t.is(await fetcher.text(opened), `known.test:${server.port}`);
  t.is(await failure(fetcher.open(`https://other.test:${server.port}/`)), 'EFFECT_FAILED tls');
  t.is(await failure(fetcher.open(`https://127.0.0.1:${server.port}/`)), 'EFFECT_FAILED tls');
});

test('a certificate that nobody vouches for is refused, and so is a server without TLS', async (t) => {
  const server = await startHttpServer(t, (_, response) => response.end(), { certificate: unknown });
  const plain = await startHttpServer(t, (_, response) => response.end());
  const names = await startNameServer(t, addressesOf({ 'known.test': ['127.0.0.1'] }));
  const fetcher = new Fetcher({ nameServer: names.address });
  t.is(await failure(fetcher.open(`https://known.test:${server.port}/`)), 'EFFECT_FAILED tls');
  t.is(await failure(fetcher.open(`https://known.test:${plain.port}/`)), 'EFFECT_FAILED tls');
  t.is(server.requests.length + plain.requests.length, 0);
});

test('H10: proxies of the environment are not used', async (t) => {
  const proxy = await startTcpServer(t, (socket) => socket.destroy());
  const server = await startHttpServer(t, (_, response) => response.end('direct'));
  const url = `http://127.0.0.1:${proxy.port}`;
  const child = fork(fileURLToPath(new URL('_fetch-main.ts', import.meta.url)), [`http://127.0.0.1:${server.port}/`], {
    env: { HTTP_PROXY: url, http_proxy: url, HTTPS_PROXY: url, ALL_PROXY: url, NODE_USE_ENV_PROXY: '1' },
  });
  t.teardown(() => child.kill('SIGKILL'));
  const [message] = await once(child, 'message');
  t.is(message, 'direct');
  t.is(proxy.connections(), 0);
});

test('H10: no URL leads to a Unix socket', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'pyrepl3-network-'));
  const path = join(folder, 'daemon.sock');
  let connections = 0;
  const server = createServer().on('connection', () => connections++);
  server.listen(path);
  await once(server, 'listening');
  t.teardown(async () => {
    server.close();
    await rm(folder, { recursive: true });
  });
  const fetcher = new Fetcher();
  for (const url of [
    `unix:${path}`,
    `http+unix://${encodeURIComponent(path)}/`,
    `ws+unix://${path}`,
    `file://${path}`,
  ]) {
    t.is(await failure(fetcher.open(url)), 'CAPABILITY_DENIED', url);
  }
  t.is(
    await failure(fetcher.open('http://localhost/', { headers: [['x', 'y']], ...{ socketPath: path } })),
    'INVALID_PARAMS',
  );
  t.is(connections, 0);
});

test('H14: no connection is used for a second request, by the same session or another', async (t) => {
  const server = await startHttpServer(t, (request, response) => response.end(request.headers.connection));
  const fetchers = [new Fetcher(), new Fetcher()];
  for (const fetcher of [...fetchers, ...fetchers]) {
    t.is(await fetcher.text(await fetcher.open(`http://127.0.0.1:${server.port}/`)), 'close');
  }
  t.is(server.connections(), 4);
});
