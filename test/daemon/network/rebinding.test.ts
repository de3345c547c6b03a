/** A name server that works with the attacker: what it answers changes from question to question, and with the kind of question. */
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { Fetcher, failure } from './_fetching.ts';
import { type HttpServer, startHttpServer } from './_loopback-servers.ts';
import { startNameServer } from './_name-server.ts';

/** A server at the listed address, and one on the same port at an address that is not listed. */
async function openAndHidden(
  t: ExecutionContext,
  listener: Parameters<typeof startHttpServer>[1] = (_, response) => response.end('listed'),
): Promise<{ readonly open: HttpServer; readonly hidden: HttpServer; readonly port: number }> {
  const open = await startHttpServer(t, listener);
  const { port } = open;
  const hidden = await startHttpServer(t, (_, response) => response.end('secret'), { host: '127.0.0.2', port });
  return { open, hidden, port };
}

test('H01: a name that has moved by the time a redirect leads back to it is refused', async (t) => {
  const { open, hidden, port } = await openAndHidden(t, (_, response) =>
    response.writeHead(302, { location: `http://rebinding.test:${port}/again` }).end(),
  );
  let asked = 0;
  const names = await startNameServer(t, (_, type) =>
    type === 'A' ? [asked++ === 0 ? '127.0.0.1' : '127.0.0.2'] : [],
  );
  const fetcher = new Fetcher({ nameServer: names.address });
  t.is(await failure(fetcher.open(`http://rebinding.test:${port}/`)), 'CAPABILITY_DENIED');
  t.is(asked, 2, 'it was looked up again');
  t.deepEqual([open.requests.length, hidden.connections()], [1, 0]);
});

test('H01: a name that is public for one kind of address and private for the other is refused', async (t) => {
  const { open, hidden, port } = await openAndHidden(t);
  for (const aaaa of ['::1', '::ffff:127.0.0.2', '64:ff9b::7f00:2', 'fd00::1', 'fe80::1']) {
    const names = await startNameServer(t, (_, type) => (type === 'AAAA' ? [aaaa] : type === 'A' ? ['127.0.0.1'] : []));
    const fetcher = new Fetcher({ nameServer: names.address });
    t.is(await failure(fetcher.open(`http://both.test:${port}/`)), 'CAPABILITY_DENIED', aaaa);
  }
  t.deepEqual([open.connections(), hidden.connections()], [0, 0]);
});

test('requests at once are each held to what they looked up themselves', async (t) => {
  const { hidden, port } = await openAndHidden(t);
  let asked = 0;
  const names = await startNameServer(t, (_, type) =>
    type === 'A' ? [asked++ % 2 === 0 ? '127.0.0.1' : '127.0.0.2'] : [],
  );
  const fetcher = new Fetcher({ nameServer: names.address });
  const ends = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const opening = fetcher.open(`http://rebinding.test:${port}/`);
      const code = await failure(opening).catch(() => 'none');
      return code === 'none' ? fetcher.text(await opening) : code;
    }),
  );
  t.deepEqual([...new Set(ends)].toSorted(), ['CAPABILITY_DENIED', 'listed']);
  t.is(hidden.connections(), 0);
});

test('whatever a name server answers, and however often it changes its mind, no address is reached that is not allowed', async (t) => {
  const { hidden, port } = await openAndHidden(t);
  const addresses = fc.array(fc.constantFrom('127.0.0.1', '127.0.0.2', '127.0.0.3', '169.254.169.254', '10.0.0.1'), {
    minLength: 1,
    maxLength: 3,
  });
  const answers = fc.array(addresses, { minLength: 1, maxLength: 6 });
  let script: readonly (readonly string[])[] = [];
  let asked = 0;
  const names = await startNameServer(t, (_, type) => (type === 'A' ? (script[asked++ % script.length] ?? []) : []));
  const fetcher = new Fetcher({ nameServer: names.address, constraints: { timeMsMax: 60_000 } });
  const property = fc.asyncProperty(answers, async (given) => {
    script = given;
    for (asked = 0; asked < given.length; ) {
      const expected = given[asked] ?? [];
      const isAllowed = expected.every((address) => address === '127.0.0.1');
      const opening = fetcher.open(`http://rebinding.test:${port}/`);
      if (isAllowed) t.is(await fetcher.text(await opening), 'listed');
      else t.is(await failure(opening), 'CAPABILITY_DENIED', String(expected));
    }
  });
  await t.notThrowsAsync(() => fc.assert(property, { numRuns: 60 }));
  t.is(hidden.connections(), 0);
});
