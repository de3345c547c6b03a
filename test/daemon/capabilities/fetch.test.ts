import { createHash } from 'node:crypto';
import test from 'ava';
import { Fetcher, failure, faultOf, type Init } from '../network/_fetching.ts';
import { bodyOf, startHttpServer } from '../network/_loopback-servers.ts';

test('sends method, headers and body, and answers status, headers and body', async (t) => {
  let received = '';
  const server = await startHttpServer(t, async (request, response) => {
    received = await bodyOf(request);
    response
      .writeHead(
        201,
        'Made',
        [
          ['X-A', '1'],
          ['x-a', '2'],
          ['Set-Cookie', 'a=b'],
        ].flat(),
      )
      .end('answer');
  });
  const fetcher = new Fetcher();
  const opened = await fetcher.open(`http://127.0.0.1:${server.port}/a%20b?c=d#e`, {
    method: 'POST',
    headers: [
      ['Content-Type', 'text/x'],
      ['X-B', 'é'],
      ['x-b', '2'],
    ],
    body: { base64: Buffer.from('content').toString('base64') },
  });
  t.like(opened, {
    url: `http://127.0.0.1:${server.port}/a%20b?c=d`,
    status: 201,
    statusText: 'Made',
    redirected: false,
  });
  t.deepEqual(opened.headers.slice(0, 3), [
    ['x-a', '1'],
    ['x-a', '2'],
    ['set-cookie', 'a=b'],
  ]);
  t.is(await fetcher.text(opened), 'answer');
  t.is(received, 'content');
  const [request] = server.requests;
  t.like(request, { method: 'POST', url: '/a%20b?c=d' });
  t.like(request?.headers, { 'content-type': 'text/x', 'x-b': 'é, 2', 'content-length': '7', accept: '*/*' });
});

test('a method that the grant does not list is refused, and the refusal names those that it does', async (t) => {
  const server = await startHttpServer(t, (_, response) => response.end());
  const fetcher = new Fetcher({ constraints: { methods: ['GET', 'HEAD'] } });
  const url = `http://127.0.0.1:${server.port}/`;
  const fault = await faultOf(fetcher.open(url, { method: 'DELETE' }));
  t.is(fault.code, 'CAPABILITY_DENIED');
  t.regex(fault.message, /DELETE.*GET, HEAD/);
  t.is((await fetcher.open(url, { method: 'HEAD' })).status, 200);
  t.is(server.requests.length, 1);
});

for (const [what, init, code] of [
  ['a body with GET', { body: { text: 'x' } }, 'INVALID_PARAMS'],
  ['a body with HEAD', { method: 'HEAD', body: { text: 'x' } }, 'INVALID_PARAMS'],
  ['a second request in the method', { method: 'GET / HTTP/1.1\r\nHost: x\r\n\r\nDELETE' }, 'INVALID_PARAMS'],
  ['a method in lower case', { method: 'delete' }, 'INVALID_PARAMS'],
  ['a tunnel', { method: 'CONNECT' }, 'CAPABILITY_DENIED'],
  ['another method in a header', { headers: [['X-HTTP-Method-Override', 'DELETE']] }, 'CAPABILITY_DENIED'],
  ['another path in a header', { headers: [['X-Original-URL', '/admin']] }, 'CAPABILITY_DENIED'],
  ['an option that there is not', { dispatcher: {} }, 'INVALID_PARAMS'],
] as const) {
  test(`F09: ${what} is refused`, async (t) => {
    const server = await startHttpServer(t, (_, response) => response.end());
    const url = `http://127.0.0.1:${server.port}/`;
    t.is(await failure(new Fetcher({ constraints: { methods: ['GET', 'HEAD'] } }).open(url, init as Init)), code);
    t.is(server.connections(), 0);
  });
}

for (const url of [
  'http://good.test@evil.test/',
  'http://good.test:80@evil.test/',
  'http://evil.test#good.test',
  'http://evil.test/#@good.test',
  'http://evil.test?good.test',
  'http://evil.test\\good.test/',
  'http:///evil.test/',
  'http:evil.test',
  'ht\ttp://evil.test/',
  'http://ev\nil.test/',
  ' http://evil.test/ ',
  'http://user:pass@good.test/',
  'http://user@good.test/',
  'http://good.test:8080/',
  'http://good.test.evil.test/',
]) {
  test(`H06: ${JSON.stringify(url)} does not pass for http://good.test/`, async (t) => {
    const { requests } = await startHttpServer(t, (_, response) => response.end());
    t.is(await failure(new Fetcher({ constraints: { hosts: ['good.test'] } }).open(url)), 'CAPABILITY_DENIED');
    t.is(requests.length, 0);
  });
}

test('H06: the host that was checked is the host that is connected to', async (t) => {
  const server = await startHttpServer(t, (request, response) =>
    response.end(`${request.headers.host} ${request.url}`),
  );
  const fetcher = new Fetcher({ constraints: { hosts: [`127.0.0.1:${server.port}`] } });
  const host = `127.0.0.1:${server.port}`;
  for (const [url, asked] of [
    [`http://${host}\\@evil.test/`, '/@evil.test/'],
    [`http://${host}#@evil.test/`, '/'],
    [`http:///${host}/x`, '/x'],
    [`ht\ttp://127.0.\n0.1:${server.port}/`, '/'],
  ] as const) {
    t.is(await fetcher.text(await fetcher.open(url)), `${host} ${asked}`, JSON.stringify(url));
  }
});

for (const url of [
  'file:///etc/passwd',
  'gopher://127.0.0.1:70/_x',
  'ftp://127.0.0.1/',
  'data:text/plain,x',
  'blob:http://127.0.0.1/x',
  'unix:/run/daemon.sock',
  'ws://127.0.0.1/',
  'wss://127.0.0.1/',
  'javascript:1',
  'about:blank',
]) {
  test(`H07: ${url} is refused, whatever the grant lists`, async (t) => {
    t.is(await failure(new Fetcher({ constraints: { hosts: ['*:*'] } }).open(url)), 'CAPABILITY_DENIED');
  });
}

for (const url of ['', '/path', 'example.com', 'http://', 'http://[/', 'http://a b/', `http://a/${'x'.repeat(8192)}`]) {
  test(`H06: ${JSON.stringify(url.slice(0, 20))} is no whole URL of an acceptable length`, async (t) => {
    t.is(await failure(new Fetcher().open(url)), 'INVALID_PARAMS');
  });
}

for (const name of [
  'Host',
  'connection',
  'Keep-Alive',
  'Transfer-Encoding',
  'CONTENT-LENGTH',
  'Upgrade',
  'HTTP2-Settings',
  'TE',
  'Trailer',
  'Expect',
  'Cookie',
  'Cookie2',
  'Forwarded',
  'Via',
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'X-Real-IP',
  'Proxy-Authorization',
  'Proxy-Connection',
  'Sec-WebSocket-Key',
]) {
  test(`H08: the header ${name} cannot be set`, async (t) => {
    const server = await startHttpServer(t, (_, response) => response.end());
    const fault = await faultOf(new Fetcher().open(`http://127.0.0.1:${server.port}/`, { headers: [[name, 'x']] }));
    t.is(fault.code, 'CAPABILITY_DENIED');
    t.regex(fault.message, new RegExp(name, 'i'));
    t.is(server.connections(), 0);
  });
}

for (const [what, header] of [
  ['a line break in a value', ['x-a', 'b\r\nHost: evil']],
  ['a bare CR in a value', ['x-a', 'b\rc']],
  ['a bare LF in a value', ['x-a', 'b\nc']],
  ['NUL in a value', ['x-a', 'b\0c']],
  ['a character that is no byte', ['x-a', '嘊嘍Host: evil']],
  ['a line break in a name', ['x-a\r\nHost', 'evil']],
  ['a colon in a name', ['Host:', 'evil']],
  ['a space in a name', ['Host ', 'evil']],
  ['no name', ['', 'x']],
] as const) {
  test(`H08: ${what} of a header is refused`, async (t) => {
    const server = await startHttpServer(t, (_, response) => response.end());
    t.is(
      await failure(new Fetcher().open(`http://127.0.0.1:${server.port}/`, { headers: [header] })),
      'INVALID_PARAMS',
    );
    t.is(server.connections(), 0);
  });
}

test('H11: a request may have 100 headers and 32 KiB of them, and no more', async (t) => {
  const server = await startHttpServer(t, (_, response) => response.end());
  const url = `http://127.0.0.1:${server.port}/`;
  const many = (count: number) => Array.from({ length: count }, (_, at) => [`x-${at}`, ''] as const);
  t.is((await new Fetcher().open(url, { headers: many(100) })).status, 200);
  t.is(await failure(new Fetcher().open(url, { headers: many(101) })), 'INVALID_PARAMS');
  t.is(await failure(new Fetcher().open(url, { headers: [['x', 'y'.repeat(32 * 1024)]] })), 'INVALID_PARAMS');
});

test('a request body may have as many bytes as allowed, and not one more', async (t) => {
  const server = await startHttpServer(t, async (request, response) => response.end(await bodyOf(request)));
  const fetcher = new Fetcher({ constraints: { requestBytesMax: 10 } });
  const send = (text: string) => fetcher.open(`http://127.0.0.1:${server.port}/`, { method: 'POST', body: { text } });
  t.is(await fetcher.text(await send('ééééé')), 'ééééé');
  t.is(await failure(send('ééééé.')), 'TOO_LARGE');
  t.is(server.requests.length, 1);
});

test('H13: the log shows the whole URL but its password, the names of headers, and the size and digest of the body', (t) => {
  const audited = new Fetcher().audited('https://user:pass@example.com/a?data=exfiltrated#b', {
    method: 'POST',
    headers: [['Authorization', 'Bearer secret']],
    body: { text: 'content' },
  });
  t.deepEqual(audited, {
    operation: 'open',
    method: 'POST',
    url: 'https://example.com/a?data=exfiltrated#b',
    redirect: 'follow',
    headers: ['authorization'],
    body: { bytes: 7, sha256: createHash('sha256').update('content').digest('hex') },
  });
});

test('H15: a connection cannot be upgraded', async (t) => {
  const server = await startHttpServer(t, (_, response) => response.end());
  const url = `http://127.0.0.1:${server.port}/`;
  const upgrade: Init = {
    headers: [
      ['Connection', 'Upgrade'],
      ['Upgrade', 'websocket'],
      ['Sec-WebSocket-Version', '13'],
    ],
  };
  t.is(await failure(new Fetcher().open(url, upgrade)), 'CAPABILITY_DENIED');
  t.is(await failure(new Fetcher().open(url.replace('http', 'ws'))), 'CAPABILITY_DENIED');
  t.is(server.connections(), 0);
});

test('H15: an event stream is a body like any other, which ends with its time', async (t) => {
  const server = await startHttpServer(t, (_, response) =>
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n'),
  );
  const fetcher = new Fetcher({ constraints: { timeMsMax: 300 } });
  const url = `http://127.0.0.1:${server.port}/`;
  const reading = fetcher
    .open(url, { headers: [['accept', 'text/event-stream']] })
    .then((opened) => fetcher.bytes(opened));
  t.is(await failure(reading), 'EFFECT_FAILED timed-out');
});

for (const args of [
  [],
  ['open'],
  ['open', 'http://a/'],
  ['read'],
  ['read', 1],
  ['read', 'x'.repeat(65)],
  ['cancel', 'x', 1],
  ['constructor', 'x'],
  { 0: 'read' },
  null,
]) {
  test(`the arguments ${JSON.stringify(args).slice(0, 24)} are refused`, async (t) => {
    t.is(await failure(new Fetcher().call(args)), 'INVALID_PARAMS');
  });
}
