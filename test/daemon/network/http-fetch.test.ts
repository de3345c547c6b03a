import type { IncomingMessage, ServerResponse } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import type { CredentialSource } from '../../../daemon/network/network.ts';
import { fakeContext } from '../capabilities/_call-context.ts';
import { selfSignedCertificate, trustCertificates } from './_certificate.ts';
import { Fetcher, failure, faultOf } from './_fetching.ts';
import { bodyOf, startHttpServer } from './_loopback-servers.ts';
import { addressesOf, startNameServer } from './_name-server.ts';

const secure = selfSignedCertificate('api.test');
trustCertificates(secure);

const redirect = (status: number, location: string) => (_: IncomingMessage, response: ServerResponse) => {
  response.writeHead(status, { location }).end('moved');
};

/** Answers what it was asked, as JSON. */
async function echo(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url, headers } = request;
  response.end(JSON.stringify({ method, url, headers, body: await bodyOf(request) }));
}

interface Echo {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

async function echoed(fetcher: Fetcher, ...args: Parameters<Fetcher['open']>): Promise<Echo> {
  return JSON.parse(await fetcher.text(await fetcher.open(...args)));
}

/** One credential, for what the rule allows. */
function credentialFor(host: string, header = 'authorization'): CredentialSource {
  const credential = { host, header, value: 'Bearer s3cret-token', secret: { name: 'token', value: 's3cret-token' } };
  return { credential: (name) => (name === 'api' ? credential : null) };
}

const localNames = (t: ExecutionContext) =>
  startNameServer(
    t,
    addressesOf({
      'a.test': ['127.0.0.1'],
      'b.test': ['127.0.0.1'],
      'api.test': ['127.0.0.1'],
      'private.test': ['127.0.0.2'],
    }),
  );

test('follows redirects, and says where the answer came from', async (t) => {
  const server = await startHttpServer(t, (request, response) => {
    if (request.url === '/end?x=1') response.end('there');
    else redirect(302, '/end?x=1#part')(request, response);
  });
  const fetcher = new Fetcher();
  const opened = await fetcher.open(`http://127.0.0.1:${server.port}/start#here`);
  t.like(opened, { url: `http://127.0.0.1:${server.port}/end?x=1`, status: 200, redirected: true });
  t.is(await fetcher.text(opened), 'there');
});

test('with redirect "manual" the redirect itself is the answer, and with "error" it is a failure', async (t) => {
  const server = await startHttpServer(t, redirect(307, 'http://10.0.0.1/'));
  const fetcher = new Fetcher();
  const opened = await fetcher.open(`http://127.0.0.1:${server.port}/`, { redirect: 'manual' });
  t.like(opened, { status: 307, redirected: false });
  t.is(new Map(opened.headers).get('location'), 'http://10.0.0.1/');
  t.is(
    await failure(fetcher.open(`http://127.0.0.1:${server.port}/`, { redirect: 'error' })),
    'EFFECT_FAILED redirected',
  );
});

test('a loop of redirects ends at the limit, and not one before it', async (t) => {
  const server = await startHttpServer(t, (request, response) => {
    const hop = Number(request.url?.slice(1));
    if (hop === 0) response.end('there');
    else redirect(302, `/${hop - 1}`)(request, response);
  });
  const fetcher = new Fetcher({ constraints: { redirectsMax: 3 } });
  const url = (hops: number) => `http://127.0.0.1:${server.port}/${hops}`;
  t.is((await fetcher.open(url(3))).status, 200);
  t.is(await failure(fetcher.open(url(4))), 'EFFECT_FAILED too-many-redirects');
  t.is(
    await failure(new Fetcher({ constraints: { redirectsMax: 0 } }).open(url(1))),
    'EFFECT_FAILED too-many-redirects',
  );
});

for (const [what, location] of [
  ['a private address', 'http://127.0.0.2:PORT/'],
  ['another form of a private address', 'http://[::ffff:7f00:2]:PORT/'],
  ['a name of a private address', 'http://private.test:PORT/'],
  ['metadata', 'http://169.254.169.254/latest/'],
  ['another port', 'http://127.0.0.1:1/'],
  ['an unlisted host', 'http://b.test:PORT/'],
  ['an unlisted path', '/secret'],
  ['a path beside a listed folder', '/open/..%2fsecret'],
  ['another scheme', 'file:///etc/passwd'],
  ['data', 'data:text/plain,x'],
  ['a WebSocket', 'ws://127.0.0.1:PORT/open/'],
  ['a URL with a password', 'http://user:pass@127.0.0.1:PORT/open/'],
] as const) {
  test(`H01: a redirect to ${what} is refused, and nothing is asked there`, async (t) => {
    const server = await startHttpServer(t, (request, response) =>
      redirect(302, location.replace('PORT', String(request.socket.localPort)))(request, response),
    );
    const hidden = await startHttpServer(t, (_, response) => response.end(), { host: '127.0.0.2', port: server.port });
    const hosts = [
      `127.0.0.1:${server.port}/open/*`,
      `127.0.0.2:${server.port}`,
      '*.2:*',
      `private.test:*`,
      '169.254.169.254',
    ];
    const fetcher = new Fetcher({ constraints: { hosts }, nameServer: (await localNames(t)).address });
    t.is(await failure(fetcher.open(`http://127.0.0.1:${server.port}/open/`)), 'CAPABILITY_DENIED');
    t.is(server.requests.length, 1);
    t.is(hidden.connections(), 0);
  });
}

test('a redirect to what is no URL is a failure of the server', async (t) => {
  const server = await startHttpServer(t, redirect(302, 'http://[/'));
  t.is(await failure(new Fetcher().open(`http://127.0.0.1:${server.port}/`)), 'EFFECT_FAILED protocol');
});

for (const [status, method, becomes] of [
  [301, 'POST', 'GET'],
  [302, 'POST', 'GET'],
  [303, 'POST', 'GET'],
  [303, 'PUT', 'GET'],
  [302, 'PUT', 'PUT'],
  [307, 'POST', 'POST'],
  [308, 'PUT', 'PUT'],
] as const) {
  test(`after ${status} a ${method} becomes a ${becomes}, with or without its body`, async (t) => {
    const server = await startHttpServer(t, (request, response) =>
      request.url === '/' ? redirect(status, '/next')(request, response) : void echo(request, response),
    );
    const url = `http://127.0.0.1:${server.port}/`;
    const init = { method, body: { text: 'x' }, headers: [['content-type', 'text/x'] as const] };
    const answer = await echoed(new Fetcher(), url, init);
    t.like(answer, { method: becomes, body: becomes === 'GET' ? '' : 'x' });
    t.is(answer.headers['content-type'], becomes === 'GET' ? undefined : 'text/x');
  });
}

test('F09: a redirect that changes the method to one that is not allowed is refused', async (t) => {
  const server = await startHttpServer(t, redirect(303, '/next'));
  const fetcher = new Fetcher({ constraints: { methods: ['POST'] } });
  t.is(await failure(fetcher.open(`http://127.0.0.1:${server.port}/`, { method: 'POST' })), 'CAPABILITY_DENIED');
  t.is(server.requests.length, 1);
});

test('the daemon adds a credential for the host of its rule, in place of what code set, and redacts its value', async (t) => {
  const server = await startHttpServer(t, echo);
  const context = fakeContext();
  const fetcher = new Fetcher({
    constraints: { credentials: ['api', 'absent'] },
    credentials: credentialFor(`a.test:${server.port}`),
    nameServer: (await localNames(t)).address,
    context,
  });
  const init = { headers: [['Authorization', 'Bearer guessed'] as const] };
  const answer = await echoed(fetcher, `http://a.test:${server.port}/`, init);
  t.is(answer.headers['authorization'], 'Bearer s3cret-token');
  t.is(context.redactor.redact('it is s3cret-token'), 'it is [redacted:token]');
  const other = await echoed(fetcher, `http://b.test:${server.port}/`, init);
  t.is(other.headers['authorization'], 'Bearer guessed');
});

test('a credential that the grant does not name is not added', async (t) => {
  const server = await startHttpServer(t, echo);
  const fetcher = new Fetcher({ credentials: credentialFor(`127.0.0.1:${server.port}`) });
  t.is((await echoed(fetcher, `http://127.0.0.1:${server.port}/`)).headers['authorization'], undefined);
});

test('a credential is redacted in the headers of a server that answers with what it was sent', async (t) => {
  const server = await startHttpServer(t, (request, response) =>
    response.setHeader('x-echo', request.headers['x-key'] ?? '').end(),
  );
  const fetcher = new Fetcher({
    constraints: { credentials: ['api'] },
    credentials: credentialFor(`127.0.0.1:${server.port}`, 'x-key'),
  });
  const { headers } = await fetcher.open(`http://127.0.0.1:${server.port}/`);
  t.is(new Map(headers).get('x-echo'), 'Bearer [redacted:token]');
});

test('without TLS a credential is added only where its rule names the port', async (t) => {
  const server = await startHttpServer(t, echo, { certificate: secure });
  const plain = await startHttpServer(t, echo);
  const nameServer = (await localNames(t)).address;
  const sentTo = async (url: string, rule: string) => {
    const fetcher = new Fetcher({
      constraints: { credentials: ['api'] },
      credentials: credentialFor(rule),
      nameServer,
    });
    return (await echoed(fetcher, url)).headers['authorization'];
  };
  t.is(await sentTo(`https://api.test:${server.port}/`, `api.test:${server.port}`), 'Bearer s3cret-token');
  t.is(await sentTo(`http://api.test:${plain.port}/`, `api.test:${plain.port}`), 'Bearer s3cret-token');
  t.is(await sentTo(`http://api.test:${plain.port}/`, 'api.test'), undefined);
});

test('after a redirect to another origin neither Authorization nor credentials go along, not even on the way back', async (t) => {
  const server = await startHttpServer(t, (request, response) => {
    const to = (host: string, path: string) =>
      redirect(307, `http://${host}:${request.socket.localPort}${path}`)(request, response);
    if (request.url === '/1') to('a.test', '/2');
    else if (request.url === '/2') to('b.test', '/3');
    else if (request.url === '/3') to('a.test', '/4');
    else response.end();
  });
  const fetcher = new Fetcher({
    constraints: { credentials: ['api'] },
    credentials: credentialFor(`*.test:${server.port}`, 'x-key'),
    nameServer: (await localNames(t)).address,
  });
  const headers = [['authorization', 'Basic mine'] as const, ['x-other', 'stays'] as const];
  await fetcher.open(`http://a.test:${server.port}/1`, { headers });
  const seen = server.requests.map(({ headers }) => [
    headers.host?.split(':')[0],
    headers['x-key'],
    headers.authorization,
  ]);
  t.deepEqual(seen, [
    ['a.test', 'Bearer s3cret-token', 'Basic mine'],
    ['a.test', 'Bearer s3cret-token', 'Basic mine'],
    ['b.test', undefined, undefined],
    ['a.test', undefined, undefined],
  ]);
  t.true(server.requests.every(({ headers }) => headers['x-other'] === 'stays'));
});

test('a header that code set under the name of a credential does not outlive the redirect that drops it', async (t) => {
  const server = await startHttpServer(t, (request, response) => {
    if (request.url === '/1') redirect(307, `http://b.test:${request.socket.localPort}/2`)(request, response);
    else void echo(request, response);
  });
  const fetcher = new Fetcher({
    constraints: { credentials: ['api'] },
    credentials: credentialFor(`a.test:${server.port}`, 'x-key'),
    nameServer: (await localNames(t)).address,
  });
  const answer = await echoed(fetcher, `http://a.test:${server.port}/1`, { headers: [['X-Key', 'guessed']] });
  t.is(answer.headers['x-key'], undefined);
});

test('H13: the denial of a redirect names the host and port, and no more of the URL', async (t) => {
  const server = await startHttpServer(t, redirect(302, 'http://b.test:81/path?token=1'));
  const fetcher = new Fetcher({ constraints: { hosts: [`127.0.0.1:${server.port}`] } });
  const { message } = await faultOf(fetcher.open(`http://127.0.0.1:${server.port}/`));
  t.regex(message, /b\.test:81/);
  t.notRegex(message, /path|token/);
});
