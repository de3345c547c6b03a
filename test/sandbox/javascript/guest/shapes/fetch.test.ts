import test from 'ava';
import { CallFault, CapabilitySession } from '../../../_capability-session.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const head = (body: unknown, more: object = {}): object => ({
  url: 'https://a.test/final',
  status: 200,
  statusText: 'OK',
  headers: [
    ['content-type', 'text/plain'],
    ['set-cookie', 'a=1'],
    ['set-cookie', 'b=2'],
    ['x-two', '1'],
    ['x-two', '2'],
  ],
  redirected: true,
  body,
  ...more,
});
const whole = (text: string): object => ({ base64: base64(text), done: true });
/** What is still to be read of each body that comes in pieces. */
const pieces = new Map<string, string[]>();

const session = new CapabilitySession(['fetch'], (_, [operation, target]) => {
  if (operation === 'cancel') return null;
  if (operation === 'read') {
    const left = pieces.get(target as string) ?? [];
    const text = left.shift();
    if (text === 'BREAK') throw new CallFault('EFFECT_FAILED', 'The connection broke.', { reason: 'protocol' });
    return { base64: base64(text ?? ''), done: left.length === 0 };
  }
  const path = new URL(target as string).pathname;
  if (path === '/none') return head(null, { status: 204 });
  if (path === '/json') return head(whole('\uFEFF{"a":[1,"é"]}'));
  if (path === '/pieces' || path === '/broken' || path === '/never') {
    pieces.set(
      path,
      path === '/pieces' ? ['', 'l\u00e9', 'lo', '!'] : path === '/broken' ? ['x', 'BREAK'] : ['x', 'y'],
    );
    return head({ base64: base64('h'), done: false, handle: path });
  }
  if (path === '/open') return undefined;
  if (path === '/refused') throw new CallFault('CAPABILITY_DENIED', 'Not this host.');
  return path === '/malformed' ? { url: 5 } : head(whole('hello'));
});
test.after.always(() => session.close());

const ops = (): unknown[] => session.calls.map(([, operation, target]) => `${operation} ${target}`);

test.serial('fetch gives a response by the standard', async (t) => {
  t.deepEqual(
    await session.run(`
      const r = await fetch('https://a.test/x#fragment');
      ({ type: r.type, url: r.url, status: r.status, ok: r.ok, statusText: r.statusText, redirected: r.redirected,
         headers: [...r.headers], cookies: r.headers.getSetCookie(), isResponse: r instanceof Response,
         before: r.bodyUsed, text: await r.text(), after: r.bodyUsed, tag: String(r) })`),
    {
      type: 'basic',
      url: 'https://a.test/final',
      status: 200,
      ok: true,
      statusText: 'OK',
      redirected: true,
      headers: [
        ['content-type', 'text/plain'],
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
        ['x-two', '1, 2'],
      ],
      cookies: ['a=1', 'b=2'],
      isResponse: true,
      before: false,
      text: 'hello',
      after: true,
      tag: '[object Response]',
    },
  );
  t.deepEqual(session.calls.at(-1), [
    'fetch',
    'open',
    'https://a.test/x#fragment',
    { method: 'GET', headers: [], body: null, redirect: 'follow' },
  ]);
  t.deepEqual(await session.run("const n = await fetch('https://a.test/none'); [n.body, await n.text(), n.bodyUsed]"), [
    null,
    '',
    false,
  ]);
  t.deepEqual(await session.run("(await fetch('https://a.test/json')).json()"), { a: [1, 'é'] });
  t.deepEqual(await session.run("[...(await (await fetch('https://a.test/')).bytes())]"), [...Buffer.from('hello')]);
  t.deepEqual(
    await session.run("const ab = await (await fetch('https://a.test/')).arrayBuffer(); [String(ab), ab.byteLength]"),
    ['[object ArrayBuffer]', 5],
  );
  t.is(await session.run('await r.text()'), 'TypeError: The body was read already, or is being read.');
  t.is(await session.run("r.headers.set('a', 'b')"), 'TypeError: These headers cannot be changed.');
});

test.serial('a request leaves with its method, its headers and its body', async (t) => {
  const sent = async (init: string): Promise<unknown> => {
    await session.run(`await fetch('https://a.test/', ${init})`);
    return session.calls.at(-1)?.[3];
  };
  t.deepEqual(await sent("{ method: 'post', body: 'h\\u00e9', headers: { 'X-A': ' 1 ' } }"), {
    method: 'POST',
    headers: [
      ['x-a', '1'],
      ['content-type', 'text/plain;charset=UTF-8'],
    ],
    body: { text: 'hé' },
    redirect: 'follow',
  });
  t.deepEqual(await sent("{ method: 'PUT', body: new Uint8Array([1, 2]), redirect: 'manual' }"), {
    method: 'PUT',
    headers: [],
    body: { base64: 'AQI=' },
    redirect: 'manual',
  });
  t.deepEqual(
    await sent("{ method: 'patch', body: new URLSearchParams({ a: 'b c' }), headers: [['content-type', 'x/y']] }"),
    { method: 'patch', headers: [['content-type', 'x/y']], body: { text: 'a=b+c' }, redirect: 'follow' },
  );
  t.like(await sent("{ method: 'POST', body: new Response('stream').body }"), { body: { base64: base64('stream') } });
  t.like(await sent('new Request("https://b.test/", { method: "DELETE", headers: { a: "b" } })'), {
    method: 'DELETE',
    headers: [['a', 'b']],
  });
  await session.run(
    "const q = new Request('https://b.test/', { method: 'POST', body: 'once' }); await fetch(q, { headers: { c: 'd' } })",
  );
  t.deepEqual(session.calls.at(-1)?.slice(2), [
    'https://b.test/',
    { method: 'POST', headers: [['c', 'd']], body: { text: 'once' }, redirect: 'follow' },
  ]);
  t.is(await session.run('await fetch(q)'), 'TypeError: The body was read already, or is being read.');
  session.calls.length = 0;
  for (const wrong of [
    "'nowhere'",
    "'https://user:secret@a.test/'",
    "'https://a.test/', { body: 'x' }",
    "'https://a.test/', { method: 'TRACE' }",
    "'https://a.test/', { method: 'a b' }",
    "'https://a.test/', { headers: { 'a b': 'c' } }",
    "'https://a.test/', { headers: { a: 'b\\nc' } }",
    "'https://a.test/', { headers: [['a']] }",
    "'https://a.test/', { redirect: 'maybe' }",
    "'https://a.test/', { signal: {} }",
    "'https://a.test/', 5",
  ]) {
    t.regex(String(await session.run(`await fetch(${wrong})`)), /^TypeError: /, wrong);
  }
  t.deepEqual(session.calls, []);
});

test.serial('a body that comes in pieces is read as it is wanted, with or without its stream', async (t) => {
  session.calls.length = 0;
  t.is(await session.run("const p = await fetch('https://a.test/pieces'); 1"), 1);
  t.deepEqual(ops(), ['open https://a.test/pieces']);
  t.deepEqual(await session.run('[await p.text(), p.bodyUsed, p.body.locked]'), ['hlélo!', true, true]);
  t.deepEqual(ops().slice(1), Array(4).fill('read /pieces'));
  t.deepEqual(
    await session.run(`
      const s = await fetch('https://a.test/pieces');
      const chunks = []; const decoder = new TextDecoder();
      const untouched = [s.body instanceof ReadableStream, s.body === s.body, s.body.locked, s.bodyUsed];
      for await (const chunk of s.body) chunks.push(decoder.decode(chunk));
      [...untouched, chunks, s.bodyUsed]`),
    [true, true, false, false, ['h', 'lé', 'lo', '!'], true],
  );
  t.is(
    await session.run(
      "const b = await fetch('https://a.test/pieces'); b.body; const reader = b.body.getReader(); await b.text()",
    ),
    'TypeError: The body was read already, or is being read.',
  );
  t.is(await session.run('reader.releaseLock(); await b.text()'), 'hlélo!', 'a stream that was let go is read through');
  t.deepEqual(
    await session.run(
      "const c = await fetch('https://a.test/pieces'); const d = c.clone(); c.body.getReader().read(); const e = d.clone(); [await d.text(), await e.text()]",
    ),
    ['hlélo!', 'hlélo!'],
  );
  t.is(
    await session.run(
      "await (await fetch('https://a.test/broken')).text().catch((error) => `${error.code} ${error.details.reason}`)",
    ),
    'EFFECT_FAILED protocol',
  );
});

test.serial('a body that nobody wants any more is cancelled, once', async (t) => {
  session.calls.length = 0;
  await session.run("const u = await fetch('https://a.test/never'); await u.body.cancel(); u.bodyUsed");
  t.deepEqual(ops(), ['open https://a.test/never', 'cancel /never']);
  t.is(await session.run('u.bodyUsed'), true);
  session.calls.length = 0;
  await session.run("const v = await fetch('https://a.test/never'); const w = v.clone(); await v.body.cancel(); 1");
  t.deepEqual(ops(), ['open https://a.test/never'], 'a clone may still want it');
  await session.run('await w.body.cancel(); 1');
  t.deepEqual(ops(), ['open https://a.test/never', 'cancel /never']);
});

test.serial('an AbortSignal ends the request, and the reading of its response', async (t) => {
  session.calls.length = 0;
  t.is(
    await session.run("await fetch('https://a.test/x', { signal: AbortSignal.abort() }).catch((error) => error.name)"),
    'AbortError',
  );
  t.deepEqual(ops(), []);
  t.is(
    await session.run(`
      const controller = new AbortController();
      const waiting = fetch('https://a.test/open', { signal: controller.signal });
      controller.abort(new RangeError('enough'));
      await waiting`),
    'RangeError: enough',
  );
  session.calls.length = 0;
  t.deepEqual(
    await session.run(`
      const second = new AbortController();
      const half = await fetch(new Request('https://a.test/never', { signal: second.signal }));
      const copy = half.clone();
      second.abort();
      [await half.text().catch((error) => error.name), await copy.text().catch((error) => error.name)]`),
    ['AbortError', 'AbortError'],
  );
  t.deepEqual(ops(), ['open https://a.test/never', 'cancel /never']);
});

test.serial('what the daemon refuses, and what cannot be read of its answer, rejects', async (t) => {
  t.is(await session.run("await fetch('https://a.test/refused')"), 'CAPABILITY_DENIED: Not this host.');
  t.is(await session.run("await fetch('https://a.test/malformed').catch((error) => error.code)"), 'INTERNAL');
});

test.serial('Headers, Request and Response are made by the standard', async (t) => {
  t.deepEqual(
    await session.run(`
      const h = new Headers([['B', '2'], ['a', '1'], ['b', '3']]);
      h.append('C', 'x'); h.set('a', 'y'); h.delete('c');
      const seen = []; h.forEach((value, name) => seen.push(name + '=' + value));
      [[...h], [...h.keys()], [...h.values()], h.get('B'), h.get('none'), h.has('b'), seen, [...new Headers(h)], String(h.entries())]`),
    [
      [
        ['a', 'y'],
        ['b', '2, 3'],
      ],
      ['a', 'b'],
      ['y', '2, 3'],
      '2, 3',
      null,
      true,
      ['a=y', 'b=2, 3'],
      [
        ['a', 'y'],
        ['b', '2, 3'],
      ],
      '[object Headers Iterator]',
    ],
  );
  t.deepEqual(
    await session.run(`
      const q1 = new Request('HTTPS://A.test', { method: 'post', body: 'x' });
      const q2 = q1.clone();
      [q1.url, q1.method, q1.redirect, q1.signal instanceof AbortSignal, await q1.text(), await q2.text(), q1.bodyUsed]`),
    ['https://a.test/', 'POST', 'follow', true, 'x', 'x', true],
  );
  t.deepEqual(
    await session.run(`
      const r1 = Response.json({ a: 1 }, { status: 201 });
      const r2 = new Response(new Uint8Array([104, 105]), { statusText: 'Fine', headers: { 'x-a': 'b' } });
      const r3 = Response.redirect('https://a.test/to', 307); const r4 = Response.error();
      [r1.status, r1.headers.get('content-type'), await r1.json(), r2.statusText, r2.ok, await r2.text(), r2.headers.get('x-a'),
       r3.status, r3.headers.get('location'), r4.type, r4.status, r4.body, new Response().body, r1.type]`),
    [
      201,
      'application/json',
      { a: 1 },
      'Fine',
      true,
      'hi',
      'b',
      307,
      'https://a.test/to',
      'error',
      0,
      null,
      null,
      'default',
    ],
  );
  for (const [made, error] of [
    ["new Response('', { status: 199 })", 'RangeError'],
    ["new Response('', { status: 204 })", 'TypeError'],
    ["new Response('', { statusText: 'a\\nb' })", 'TypeError'],
    ['Response.json(undefined)', 'TypeError'],
    ["Response.redirect('https://a.test', 200)", 'RangeError'],
    ["new Request('https://a.test', { body: 'x' })", 'TypeError'],
    ["await new Response('{').json()", 'SyntaxError'],
  ]) {
    t.regex(String(await session.run(made as string)), new RegExp(`^${error}: `), made);
  }
});

test.serial('ReadableStream is one that guest code can make, and a body can be made of', async (t) => {
  t.deepEqual(
    await session.run(`
      let n = 0;
      const stream = new ReadableStream({ pull(c) { n < 3 ? c.enqueue(new Uint8Array([97 + n++])) : c.close() } });
      const [left, right] = stream.tee();
      const from = []; for await (const item of ReadableStream.from([1, 2])) from.push(item);
      [await new Response(left).text(), await new Response(right).text(), stream.locked, from, String(stream), typeof ReadableStream.make]`),
    ['abc', 'abc', true, [1, 2], '[object ReadableStream]', 'undefined'],
  );
  t.regex(
    String(await session.run('await new Response(ReadableStream.from([1])).text()')),
    /^TypeError: A stream that is a body must be of Uint8Arrays/,
  );
  t.regex(String(await session.run('new Response(stream)')), /^TypeError: The stream that was given/);
});

test.serial('a large body is read whole, and decoded whole characters at a time', async (t) => {
  pieces.clear();
  const text = 'añ€😀'.repeat(100_000);
  const data = Buffer.from(text);
  const chunks: Buffer[] = [];
  for (let at = 0; at < data.length; at += 65_537) chunks.push(data.subarray(at, at + 65_537));
  const large = new CapabilitySession(['fetch'], (_, [operation]) => {
    const chunk = chunks.shift() as Buffer;
    const piece = { base64: chunk.toString('base64'), done: chunks.length === 0 };
    return operation === 'open' ? head({ ...piece, handle: 'h' }) : piece;
  });
  t.teardown(() => large.close());
  t.deepEqual(
    await large.run(
      `const all = await (await fetch('https://a.test/')).text(); [all.length, all === 'a\u00f1\u20ac\u{1f600}'.repeat(1e5)]`,
    ),
    [text.length, true],
  );
});
