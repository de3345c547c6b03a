/**
 * A table of expected decisions, by which a policy is guarded: a list of `{level, capability, args?, expect, why?}` in YAML.
 */
import * as v from 'valibot';
import type { Catalogue } from './capabilities.ts';
import { Check, found, type PolicyProblem, problemAt } from './check.ts';
import { levelFromName } from './evaluate.ts';
import { explain, type Refuse, type Verdict } from './explain.ts';
import { quoted, suggestion } from './nearest-name.ts';
import type { Policy } from './policy.ts';
import { readYaml } from './yaml-source.ts';

interface TableRow {
  readonly line: number;
  readonly level: string;
  readonly capability: string;
  readonly args: readonly unknown[] | null;
  readonly expect: Verdict;
  /** What the reason must contain, whatever its letter case. */
  readonly why: string | null;
}

type TableReading =
  | { readonly ok: true; readonly rows: readonly TableRow[] }
  | { readonly ok: false; readonly problems: readonly PolicyProblem[] };

export interface RowResult {
  readonly line: number;
  readonly ok: boolean;
  /** A sentence that says what was expected and what was found. */
  readonly words: string;
}

const ROWS_MAX = 5000;
const VERDICTS = ['allow', 'ask', 'deny'] as const;
const text = (expected: string) => v.pipe(v.string(expected), v.minLength(1, expected), v.maxLength(1000, expected));
const ROW_SCHEMA = v.strictObject({
  level: text('the name of a level'),
  capability: text('the name of a capability'),
  args: v.exactOptional(v.array(v.unknown(), 'a list, the arguments of the call')),
  expect: v.picklist(VERDICTS, VERDICTS.map((verdict) => `"${verdict}"`).join(' or ')),
  why: v.exactOptional(text('a text, a part of the reason')),
});

/** Reads a table; every problem has its place. Never throws, whatever the text. */
export function readDecisionTable(file: string, source: string): TableReading {
  const reading = readYaml(source);
  if (!reading.ok) {
    return { ok: false, problems: reading.problems.map(({ at, message }) => problemAt(file, at, [], message)) };
  }
  const check = new Check(file, reading.source);
  const list = reading.source.value;
  if (!Array.isArray(list) || list.length === 0) {
    const what = Array.isArray(list) ? 'an empty list' : found(list);
    check.report(
      [],
      'value',
      `expected a list of rows such as {level: standard, capability: exec, expect: deny}, found ${what}`,
    );
    return { ok: false, problems: check.problems };
  }
  if (list.length > ROWS_MAX) check.report([], 'value', `at most ${ROWS_MAX} rows; there are ${list.length}`);
  const rows: TableRow[] = [];
  for (const [index, entry] of list.slice(0, ROWS_MAX).entries()) {
    const before = check.problems.length;
    const row = check.mapping(entry, [index], ROW_SCHEMA);
    if (row === null || check.problems.length > before) continue;
    const { level, capability, args = null, expect, why = null } = row as v.InferOutput<typeof ROW_SCHEMA>;
    const { line } = reading.source.locate([index], 'value');
    rows.push({ line, level, capability, args, expect, why });
  }
  return check.problems.length > 0 ? { ok: false, problems: check.problems } : { ok: true, rows };
}

/** Asks the policy every row. A name that the policy does not know fails its row: a mistyped one would be denied for the wrong reason. */
export function testDecisions(
  policy: Policy,
  rows: readonly TableRow[],
  catalogue: Catalogue,
  refuse: Refuse,
): readonly RowResult[] {
  return rows.map((row) => testRow(policy, row, catalogue, refuse));
}

function testRow(policy: Policy, row: TableRow, catalogue: Catalogue, refuse: Refuse): RowResult {
  const { line, capability, args, expect, why } = row;
  const failed = (words: string): RowResult => ({ line, ok: false, words });
  const level = levelFromName(policy, row.level);
  if (level === null) {
    return failed(`there is no level ${quoted(row.level)}; ${suggestion(row.level, [...policy.levels.keys()])}`);
  }
  if (!catalogue.has(capability)) {
    const names = [...catalogue.keys()];
    return failed(`${quoted(capability)} is not a known capability; ${suggestion(capability, names)}`);
  }
  const { verdict, reason } = explain(policy, level, capability, args, refuse);
  const question = `${level} ${capability}${args === null ? '' : `(${shownArgs(args)})`}`;
  if (verdict !== expect) return failed(`${question}: expected ${expect}, found ${verdict}: ${reason}`);
  if (why !== null && !reason.toLowerCase().includes(why.toLowerCase())) {
    return failed(`${question}: ${verdict} as expected, but for another reason than ${quoted(why)}: ${reason}`);
  }
  return { line, ok: true, words: `${question}: ${verdict}` };
}

/** Without the brackets of the list, as a call is written. */
function shownArgs(args: readonly unknown[]): string {
  return quoted(JSON.stringify(args).slice(1, -1)).slice(1, -1).replaceAll('\\"', '"');
}
