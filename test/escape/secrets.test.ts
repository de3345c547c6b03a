import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import { AdministeredDaemon } from '../e2e/_administered.ts';
import { answering, ClientFunctions } from '../e2e/_client-functions.ts';
import type { TestSession } from '../e2e/_file-daemon.ts';
import { childrenOf } from '../harness/processes.ts';

const test = anyTest as TestFn;
const SECRET = 'hunter2-Ünder"quote\\slash/+%20&=';
const TOKEN = 'tok_0123456789abcdefghij';

const file = new AdministeredDaemon(test, (policy) => {
  // Only files named *.yaml are the policy's.
  writeFileSync(join(policy.path, 'secret.txt'), `${SECRET}\n`, { mode: 0o600 });
  const secrets = `secrets:\n  db: { file: ${join(policy.path, 'secret.txt')} }\n`;
  policy.edit('policy', /$/, `\n${secrets}variables:\n  TOKEN: { value: ${TOKEN} }\n`);
  policy.grant('trusted', 'secret', '{ names: [db] }').grant('trusted', 'env', '{ names: [TOKEN] }');
  policy.grant('standard', 'hash', '{ algorithms: [sha256], bytesMax: 1000, approval: always }');
  policy.edit('trusted', /^grants:$/m, 'grants:\n  kv: { stores: [session, shared] }');
});

/** Every form in which the value could be told from what is said. */
const FORMS = [
  SECRET,
  JSON.stringify(SECRET).slice(1, -1),
  Buffer.from(SECRET).toString('base64'),
  encodeURIComponent(SECRET),
  'hunter2',
];

async function saidBy(session: TestSession, source: string): Promise<string> {
  const result = await session.run(source);
  return JSON.stringify([result, session.events()]);
}

const ways: readonly [what: string, source: string][] = [
  ['printed', 'print(s)'],
  ['printed by console, as an object and an error', 'console.log({ s }, [s], new Error(s)); console.error(s)'],
  [
    'printed where the pieces of a long output are cut',
    'for (let n = 1010; n < 1040; n++) print("x".repeat(n) + s); for (const n of [4090, 8180, 16370, 32760, 65520, 131060]) print("x".repeat(n) + s, s)',
  ],
  ['displayed', 'display(s); display({ "text/plain": s, "text/html": "<b>" + s })'],
  ['logged', 'log("info", s); log(s)'],
  ['returned', 's'],
  ['returned in data, as a key and a value', '({ [s]: [s, { s }] })'],
  ['returned as a preview', 'new Map([[s, new Set([s])]])'],
  ['returned as a promise', 'await Promise.resolve([s])'],
  ['thrown', 'throw s'],
  [
    'thrown in an error, its name and its cause',
    'const e = new TypeError(s, { cause: new Error(s) }); e.name = s; throw e',
  ],
  ['thrown in an aggregate', 'throw new AggregateError([new Error(s)], s)'],
  ['in an error of the engine', 'null[s]'],
  [
    'in base64, JSON and percent-encoding',
    'print(btoa(String.fromCharCode(...new TextEncoder().encode(s)))); print(JSON.stringify(s)); print(encodeURIComponent(s))',
  ],
  ['asked for as input', 'void input(s); await new Promise((r) => setTimeout(r, 1))'],
  ['used as a wrong argument', 'await hash(s, s)'],
  ['used as the name of a secret', 'await secret(s)'],
  ['used as a host', 'await fetch("https://" + encodeURIComponent(s) + ".example/")'],
];

for (const [what, source] of ways) {
  test(`J10: a secret that is ${what} leaves as its name alone`, async (t) => {
    const session = await file.ownSession({ level: 'trusted' });
    await session.run('const s = await secret("db"); 0');
    const said = await saidBy(session, source);
    for (const form of FORMS) t.false(said.includes(form), said);
    session.client.close();
  });
}

test('J10: a secret left behind in the namespace is not told by looking at it', async (t) => {
  const session = await file.ownSession({ level: 'trusted' });
  const { sessionId, client } = session;
  await session.run('const s = await secret("db"), o = { s, deep: [s] }; var f = () => s; 0');
  const said = JSON.stringify([
    await client.call('namespace.list', { sessionId }),
    await client.call('namespace.get', { sessionId, name: 's' }),
    await client.call('namespace.get', { sessionId, name: 'o' }),
    await client.call('session.inspect', { sessionId, source: 's', cursor: 1 }),
    await client.call('session.inspect', { sessionId, source: 'o', cursor: 1 }),
  ]);
  for (const form of FORMS) t.false(said.includes(form), said);
  t.regex(said, /\[redacted:db\]/);
  client.close();
});

test('J10: a variable of env() is redacted as a secret is', async (t) => {
  const session = await file.ownSession({ level: 'trusted' });
  await session.run('const s = await env("TOKEN"); 0');
  const said = await saidBy(session, 'print(s); display(s); [s]');
  t.false(said.includes(TOKEN), said);
  session.client.close();
});

test('J10: neither an approval request nor the audit log holds a secret, in any of its forms', async (t) => {
  const session = await file.ownSession({ level: 'trusted', name: 'secretive' });
  await session.run('const s = await secret("db"); 0');
  const result = session.run(
    'const one = approve(s, { s, deep: [s] }); const two = review({ s }, { title: s }); const three = hash("sha256", s); await kv.set(s, s); await one; await two; await three; 0',
  );
  const first = await file.requestOf(session);
  const second = await file.requestOf(session, [first]);
  const third = await file.requestOf(session, [first, second]);
  const shown = JSON.stringify([first, second, third]);
  for (const form of FORMS) t.false(shown.includes(form), shown);
  for (const request of [first, second, third]) await file.settle(request, 'approve');
  t.is((await result).status, 'ok');
  const folder = join(file.daemon.stateDir, 'audit');
  const log = readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('\n');
  t.true(log.includes('"capability":"hash"'));
  for (const form of FORMS)
    t.false(
      log.includes(form),
      log.split('\n').find((line) => line.includes(form)),
    );
  t.false(file.daemon.stderr.includes('hunter2'));
  session.client.close();
});

test('J10: what code hands to the functions of its client is in the log by its size alone, and credentials by no name', async (t) => {
  const session = await file.ownSession({ level: 'trusted' });
  const functions = new ClientFunctions(session.client);
  await functions.provide(
    session.sessionId,
    'send',
    answering(() => null),
  );
  await session.run(
    'await send({ password: "pw-in-the-open", authorization: "Bearer abcdefgh", url: "https://u:p4ss@h/?token=t0k3n" })',
  );
  const { fields } = await file.record('capability.decision', (of) => of['capability'] === 'send');
  t.notRegex(JSON.stringify(fields), /pw-in-the-open|abcdefgh|p4ss|t0k3n/);
  session.client.close();
});

test('J10: neither sources nor results are in the audit log', async (t) => {
  const session = await file.ownSession({ level: 'trusted' });
  await session.run('const marker = "mArKeR-" + "in-source"; print(marker); await kv.set("k", "mArKeR-value"); marker');
  await file.record('capability.outcome', (of) => of['sessionId'] === session.sessionId);
  const folder = join(file.daemon.stateDir, 'audit');
  for (const name of readdirSync(folder)) t.notRegex(readFileSync(join(folder, name), 'utf8'), /mArKeR/);
  session.client.close();
});

test('E06: the processes of sessions have no environment to speak of, no secret in their arguments and no descriptor of ours', async (t) => {
  const session = await file.ownSession({ level: 'trusted' });
  await session.run('await secret("db"); 0');
  const hosts = childrenOf(Number(file.daemon.child.pid));
  t.true(hosts.length > 0);
  for (const pid of hosts) {
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean);
    const names = environment.map((entry) => entry.split('=')[0]);
    t.deepEqual(
      names.filter((name) => !/^(?:LIBC|NODE_CHANNEL_\w+|TZ|LC_ALL|LANG)$/.test(name ?? '')),
      [],
    );
    for (const text of [environment.join(), readFileSync(`/proc/${pid}/cmdline`, 'utf8')])
      t.notRegex(text, /hunter2|tok_/);
  }
  session.client.close();
});
