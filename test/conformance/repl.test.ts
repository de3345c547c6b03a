/**
 * The REPL contract, case by case: what other REPLs of JavaScript and Python pin down, held against a real daemon. `repl-cases.json` names
 * where each case comes from. `must` and `should` cases pass as they are; where a `choice` case is answered differently,
 * docs/DIFFERENCES.md says what and why, and `ours` is that answer.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { ExecutionResult, Language } from '../../client/protocol.ts';
import { FileDaemon } from '../e2e/_file-daemon.ts';

interface Expectation {
  readonly value?: unknown;
  /** The type of a value that is not JSON. */
  readonly type?: string;
  readonly stdout?: string;
  readonly error?: { readonly name: string | null; readonly messageIncludes?: string; readonly thrownType?: string };
}

interface Case {
  readonly id: string;
  readonly lang: Language;
  readonly cells: readonly string[];
  readonly expect: Expectation;
  readonly level: 'must' | 'should' | 'choice';
  /** Cells, counted from 0, that may fail without failing the case. */
  readonly allowErrorIn?: readonly number[];
  readonly control?: { readonly timeoutMs: number };
}

const cases: readonly Case[] = JSON.parse(
  readFileSync(fileURLToPath(import.meta.resolve('./repl-cases.json')), 'utf8'),
);

const ours: Readonly<Record<string, Expectation>> = {
  'js-bind-let-to-const-across': { value: 9 },
};

const file = new FileDaemon(test);

/** `"value": null, "type": "undefined"` stands for a value that is not JSON. */
function statement({ value, type, stdout, error }: Expectation): string {
  if (error !== undefined) {
    const name = error.name ?? `a thrown ${error.thrownType}`;
    return `fails with ${name}${error.messageIncludes === undefined ? '' : ` that says ${error.messageIncludes}`}`;
  }
  const parts = stdout === undefined ? [] : [`prints ${JSON.stringify(stdout)}`];
  if (type !== undefined) parts.push(`is ${type}`);
  else if (value !== undefined) parts.push(`is ${JSON.stringify(value)}`);
  return parts.join(' and ');
}

for (const { id, lang, cells, level, allowErrorIn = [], control, ...rest } of cases) {
  const expect = ours[id] ?? rest.expect;
  // An isolate of Python is large, so that there is one at a time.
  const inTurn = lang === 'python' ? test.serial : test;
  inTurn(`${id} (${level}): the last of ${cells.length} ${lang} cells ${statement(expect)}`, async (t) => {
    const session = await file.session({ language: lang });
    t.teardown(() => file.client.call('session.close', { sessionId: session.sessionId }));
    const run = (source: string): Promise<ExecutionResult> => session.run(source, control?.timeoutMs);
    let last: ExecutionResult | undefined;
    for (const [cell, source] of cells.entries()) {
      last = await run(source);
      const mayFail = allowErrorIn.includes(cell) || (cell === cells.length - 1 && expect.error !== undefined);
      if (!mayFail) t.is(last.error, undefined, `cell ${cell + 1}`);
    }
    if (last === undefined) throw new Error('a case has at least one cell');

    if (expect.error !== undefined) {
      t.is(last.status, 'error');
      t.is(last.error?.name, expect.error.name);
      if (expect.error.messageIncludes !== undefined)
        t.true(last.error?.message.includes(expect.error.messageIncludes), last.error?.message);
      if (expect.error.thrownType !== undefined) t.is(last.error?.thrownType, expect.error.thrownType);
      t.deepEqual((await run('7 * 6')).value, { kind: 'json', json: 42 }, 'the session answers the next cell');
    } else if (expect.type !== undefined) {
      t.is(last.value?.kind, 'preview');
      t.is(last.value?.kind === 'preview' ? last.value.type : '', expect.type);
    } else if ('value' in expect) t.deepEqual(last.value, { kind: 'json', json: expect.value });
    if (expect.stdout !== undefined) t.is(last.output.stdout, expect.stdout);
    if (id === 'js-val-stdout-order') t.is(last.output.stderr, '2\n');
  });
}

test('every case that is answered differently is in docs/DIFFERENCES.md, and no other', (t) => {
  const table = readFileSync(fileURLToPath(import.meta.resolve('../../docs/DIFFERENCES.md')), 'utf8');
  const listed = [...table.matchAll(/^\| `([\w-]+)`/gm)].map(([, id]) => id);
  t.deepEqual(listed.toSorted(), Object.keys(ours).toSorted());
  for (const id of Object.keys(ours)) t.is(cases.find((one) => one.id === id)?.level, 'choice');
});
