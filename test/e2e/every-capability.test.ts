/** What holds for each capability with an effect alike: its rate, its budget, and that it can be taken from a running session. */
import test from 'ava';
import { makeEffects } from '../../daemon/capabilities/effects.ts';
import type { Engines } from '../../daemon/capabilities/engines.ts';
import { systemClock } from '../../daemon/clock.ts';
import { AdministeredDaemon } from './_administered.ts';
import type { TestSession } from './_file-daemon.ts';

/** A call of each that its arguments and constraints let through; whether the effect can be had on this machine is another matter. */
const CALLS: Readonly<Record<string, string>> = {
  approve: 'approve("?")',
  delete_file: 'delete_file("none")',
  dns: 'dns("none.invalid")',
  encrypt: 'encrypt("x", new Uint8Array(32))',
  env: 'env("NOTHING")',
  exec: 'exec("program")',
  execute: 'execute("scratch", "CREATE TABLE IF NOT EXISTS t(a)")',
  fetch: 'fetch("http://none.invalid/")',
  hash: 'hash("sha256", "x")',
  input: 'input("?")',
  kv: 'kv.get("x")',
  list_files: 'list_files("/")',
  query: 'query("scratch", "SELECT 1")',
  read_file: 'read_file("none")',
  review: 'review(1)',
  secret: 'secret("nothing")',
  sleep: 'sleep(1)',
  transaction: 'transaction("scratch", [["SELECT 1"]])',
  websocket: 'websocket("ws://none.invalid/")',
  write_file: 'write_file("f", "x")',
};
/** Constraints without which nothing at all is let through. */
const CONSTRAINTS: Readonly<Record<string, string>> = {
  approve: 'waitMsMax: 1',
  review: 'waitMsMax: 1',
  input: 'waitMsMax: 1',
  env: 'names: [NOTHING]',
  secret: 'names: [nothing]',
  exec: 'programs: [program]',
  fetch: 'hosts: ["*:*"], timeMsMax: 1',
  dns: 'hosts: ["*"], timeMsMax: 1',
  websocket: 'hosts: ["*:*"]',
  execute: 'sources: [scratch]',
  query: 'sources: [scratch]',
  transaction: 'sources: [scratch]',
};
const RESOURCES =
  'variables: { NOTHING: { env: PYREPL3_NOTHING } }\nsecrets: { nothing: { env: PYREPL3_NOTHING } }\nprograms: { program: { path: /bin/true } }\n';
const EFFECTS = Object.values(makeEffects({} as Engines, systemClock)).map(({ name }) => name as string);

function levelWith(name: string, rank: number, terms: string): string {
  const grants = EFFECTS.map((effect) => `  ${effect}: { ${[CONSTRAINTS[effect], terms].filter(Boolean).join(', ')} }`);
  return `level: ${name}\nrank: ${rank}\nextends: sandbox\ndescription: Each capability once.\ngrants:\n  log: true\n${grants.join('\n')}\n`;
}

const file = new AdministeredDaemon(test, (policy) => {
  policy.edit('policy', /^(?=\S)/m, RESOURCES);
  policy.write('budgeted.yaml', levelWith('budgeted', 36, 'budget: { calls: 1 }'));
  policy.write('rated.yaml', levelWith('rated', 37, 'rate: 1/day'));
  policy.write('whole.yaml', levelWith('whole', 38, ''));
});

async function codeOf(session: TestSession, call: string): Promise<unknown> {
  const value = await session.value(`await ${call}.then(() => 'done', (e) => e.code ?? e.name)`);
  return value.kind === 'json' ? value.json : value;
}

test('every capability with an effect is in this table', (t) => {
  t.deepEqual(Object.keys(CALLS).toSorted(), EFFECTS.toSorted());
});

for (const [name, call] of Object.entries(CALLS)) {
  for (const [level, refusal] of [
    ['budgeted', 'BUDGET_EXCEEDED'],
    ['rated', 'RATE_LIMITED'],
  ] as const) {
    test.serial(`${name} is done as often as its level says and then refused with ${refusal}`, async (t) => {
      const session = await file.session({ level });
      const first = await codeOf(session, call);
      t.false(
        ['BUDGET_EXCEEDED', 'RATE_LIMITED', 'CAPABILITY_DENIED', 'INVALID_PARAMS'].includes(String(first)),
        String(first),
      );
      t.is(await codeOf(session, call), refusal);
      const verdicts = (await file.records('capability.decision', { sessionId: session.sessionId })).map(
        ({ fields }) => [fields['verdict'], fields['capability']],
      );
      t.deepEqual(verdicts, [
        ['deny', name],
        ['allow', name],
      ]);
      await session.client.call('session.close', { sessionId: session.sessionId });
    });
  }

  test.serial(`${name} is taken from a running session by an edit of its level, and recorded`, async (t) => {
    const session = await file.session({ level: 'whole' });
    t.false(['CAPABILITY_DENIED', 'INVALID_PARAMS', 'ReferenceError'].includes(String(await codeOf(session, call))));
    await file.edit((policy) => policy.edit('whole', new RegExp(`^  ${name}: .*\\n`, 'm'), ''));
    t.false((await session.event('capabilities.changed')).capabilities.includes(name));
    t.is(await codeOf(session, call), 'CAPABILITY_DENIED');
    const [denial] = await file.records('capability.decision', { sessionId: session.sessionId, verdict: 'deny' });
    t.like(denial?.fields, { capability: name, code: 'CAPABILITY_DENIED' });
    await session.client.call('session.close', { sessionId: session.sessionId });
  });
}
