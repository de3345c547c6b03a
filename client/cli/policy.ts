import { join } from 'node:path';
import type { Client } from '../client.ts';
import { PyreplError } from '../errors.ts';
import type { PolicyFile, PolicyProblem } from '../protocol.ts';
import { renderTable } from '../terminal/render.ts';
import {
  type ProblemFiles,
  renderChanges,
  renderDiff,
  renderEffectiveLevel,
  renderExplanation,
  renderProblems,
} from '../terminal/render-policy.ts';
import { plainText } from '../terminal/terminal-filter.ts';
import type { CliContext } from './cli-context.ts';
import { EXIT, usageError } from './cli-error.ts';
import { type PolicyFolder, readPolicyFolder, readTextFile } from './policy-folder.ts';
import { type Reached, reachDaemon } from './reach-daemon.ts';

export interface PolicyOptions {
  readonly stateDir?: string;
  readonly json?: boolean;
}

export interface PolicyShowOptions extends PolicyOptions {
  /** With all that the level inherits. */
  readonly effective?: boolean;
}

export interface PolicyDiffOptions extends PolicyOptions {
  /** How many hours of calls are looked at. */
  readonly since?: number;
}

export interface PolicyExplainOptions extends PolicyOptions {
  readonly level: string;
  readonly capability: string;
  /** The arguments of a call, as a JSON array. */
  readonly args?: string;
  /** A folder, in place of the policy in force. */
  readonly policies?: string;
}

export interface PolicyTestOptions extends PolicyOptions {
  readonly policies?: string;
}

export interface PolicyApplyOptions extends PolicyOptions {
  readonly widenRunning?: boolean;
  readonly dryRun?: boolean;
}

const SINCE_HOURS = 24;
/** Under this name the daemon speaks of a table that was sent to it. */
const TABLE = 'table';

/** `pyrepl3 policy list`: the levels in force. */
export async function policyList(context: CliContext, options: PolicyOptions): Promise<number> {
  await using reached = await reachRunning(context, options);
  const answer = await reached.client.call('policy.list', {});
  const rows = answer.levels.map(({ level, rank, extends: parent, description }) => [
    level,
    String(rank),
    parent ?? '-',
    description,
  ]);
  const table = renderTable([['LEVEL', 'RANK', 'EXTENDS', 'DESCRIPTION'], ...rows]);
  print(context, options, answer, `${table}\n\npolicy ${answer.hash}\nfrom ${answer.source}`);
  return EXIT.ok;
}

/** `pyrepl3 policy show LEVEL [--effective]`: its file, or all that it is with what it inherits. */
export async function policyShow(context: CliContext, level: string, options: PolicyShowOptions): Promise<number> {
  await using reached = await reachRunning(context, options);
  const info = await reached.client.call('policy.show', { level });
  print(context, options, info, options.effective ? renderEffectiveLevel(info) : info.text.trimEnd());
  return EXIT.ok;
}

/** `pyrepl3 policy check [DIR]`: what is wrong with the files of a folder; without one, of that of the running daemon. */
export async function policyCheck(
  context: CliContext,
  folder: string | undefined,
  options: PolicyOptions,
): Promise<number> {
  const given = folder === undefined ? undefined : await readPolicyFolder(folder);
  await using reached = given === undefined ? await reachRunning(context, options) : await reachAny(context, options);
  const { path, files } = given ?? (await folderInForce(reached.client));
  const answer = await reached.client.call('policy.validate', { files });
  if (answer.ok) {
    print(context, options, answer, `${path}: ${plural(files.length, 'file')}, no problems`);
    return EXIT.ok;
  }
  complainOf(context, options, answer.problems, filesIn({ path, files }));
  return EXIT.failed;
}

/** `pyrepl3 policy diff A [B]`: what folder B changes against folder A, or folder A against the policy in force. */
export async function policyDiff(
  context: CliContext,
  one: string,
  other: string | undefined,
  options: PolicyDiffOptions,
): Promise<number> {
  const first = await readPolicyFolder(one);
  const second = other === undefined ? undefined : await readPolicyFolder(other);
  await using reached = second === undefined ? await reachRunning(context, options) : await reachAny(context, options);
  const { since: sinceHours = SINCE_HOURS } = options;
  for (const folder of [first, ...(second === undefined ? [] : [second])]) {
    const { ok, problems } = await reached.client.call('policy.validate', { files: folder.files });
    if (ok) continue;
    complainOf(context, options, problems, filesIn(folder));
    return EXIT.failed;
  }
  const between = second === undefined ? { to: first.files } : { from: first.files, to: second.files };
  const answer = await reached.client.call('policy.diff', { ...between, sinceHours });
  print(context, options, answer, renderDiff(answer, sinceHours));
  return EXIT.ok;
}

/** `pyrepl3 policy explain --level L --capability C [--args JSON]`: which rule decides, and why. A denial ends with status 1. */
export async function policyExplain(context: CliContext, options: PolicyExplainOptions): Promise<number> {
  const { level, capability } = options;
  const args = options.args === undefined ? undefined : parseArgs(options.args);
  return await askPolicy(context, options, async (client, files) => {
    const params = { level, capability, ...(args && { args }), ...(files && { files }) };
    const answer = await client.call('policy.explain', params);
    print(context, options, answer, renderExplanation(answer));
    return answer.verdict === 'deny' ? EXIT.failed : EXIT.ok;
  });
}

/** `pyrepl3 policy test FILE`: runs a table of expected decisions. */
export async function policyTest(context: CliContext, file: string, options: PolicyTestOptions): Promise<number> {
  const table = await readTextFile(file);
  const readTable: ProblemFiles = { pathOf: () => file, textOf: () => table };
  return await askPolicy(
    context,
    options,
    async (client, files) => {
      const answer = await client.call('policy.test', { table, ...(files && { files }) });
      const failed = answer.rows.filter(({ ok }) => !ok).map(({ line, words }) => `${file}:${line}: ${words}`);
      const summary = `${answer.passed} as expected, ${answer.failed} not`;
      print(context, options, answer, [...failed, summary].join('\n'));
      return answer.failed === 0 ? EXIT.ok : EXIT.failed;
    },
    readTable,
  );
}

/** `pyrepl3 policy apply DIR`: puts the files of a folder in force. */
export async function policyApply(context: CliContext, folder: string, options: PolicyApplyOptions): Promise<number> {
  const given = await readPolicyFolder(folder);
  await using reached = await reachRunning(context, options);
  const { widenRunning = false, dryRun = false } = options;
  return await withProblems(context, options, filesIn(given), async () => {
    const answer = await reached.client.call('policy.apply', { files: given.files, widenRunning, dryRun });
    const end = dryRun ? `nothing is applied; it would be policy ${answer.hash}` : `policy ${answer.hash} is in force`;
    print(context, options, answer, `${renderChanges(answer.changes)}\n\n${end}, before ${answer.previousHash}`);
    return EXIT.ok;
  });
}

/** Asks about the policy in force, or about that of a folder, which needs no daemon to be running. */
async function askPolicy(
  context: CliContext,
  options: PolicyOptions & { readonly policies?: string },
  ask: (client: Client, files: PolicyFile[] | undefined) => Promise<number>,
  other?: ProblemFiles,
): Promise<number> {
  const folder = options.policies === undefined ? undefined : await readPolicyFolder(options.policies);
  await using reached = folder === undefined ? await reachRunning(context, options) : await reachAny(context, options);
  return await withProblems(context, options, filesIn(folder, other), () => ask(reached.client, folder?.files));
}

/** Shows the problems of files that the daemon refuses, instead of failing with its message. */
export async function withProblems(
  context: CliContext,
  options: PolicyOptions,
  files: ProblemFiles,
  act: () => Promise<number>,
): Promise<number> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof PyreplError) || error.code !== 'POLICY_INVALID') throw error;
    const { problems } = error.details;
    if (!Array.isArray(problems)) throw error;
    complainOf(context, options, problems as PolicyProblem[], files);
    return EXIT.failed;
  }
}

export function complainOf(
  context: CliContext,
  options: PolicyOptions,
  problems: readonly PolicyProblem[],
  files: ProblemFiles,
): void {
  const text = `${renderProblems(problems, files)}\n${plural(problems.length, 'problem')}`;
  print(context, options, { ok: false, problems }, text);
}

/** The files of a folder; `other` has the one that is in none. */
export function filesIn(folder: PolicyFolder | undefined, other?: ProblemFiles): ProblemFiles {
  return {
    pathOf: (file) => {
      if (file === TABLE && other !== undefined) return other.pathOf(file);
      return folder === undefined ? file : join(folder.path, file);
    },
    textOf: (file) => {
      if (file === TABLE && other !== undefined) return other.textOf(file);
      return folder?.files.find(({ name }) => name === file)?.text;
    },
  };
}

/** The folder of the policy in force as it is now, which may not be what is in force. */
export async function folderInForce(client: Client): Promise<PolicyFolder> {
  const { source } = await client.call('policy.list', {});
  return await readPolicyFolder(source);
}

export function reachRunning(context: CliContext, { stateDir }: PolicyOptions): Promise<Reached> {
  return reachDaemon(context, { stateDir, role: 'admin', otherwise: 'fail' });
}

/** What is asked about files needs a daemon and not the one that is running. */
function reachAny(context: CliContext, { stateDir }: PolicyOptions): Promise<Reached> {
  return reachDaemon(context, { stateDir, role: 'admin', otherwise: 'private' });
}

function parseArgs(json: string): unknown[] {
  let args: unknown;
  try {
    args = JSON.parse(json);
  } catch (error) {
    throw usageError(`--args is not JSON: ${(error as Error).message}`);
  }
  if (!Array.isArray(args)) throw usageError(`--args must be a JSON array, such as '["https://example.com"]'`);
  return args;
}

/** One JSON document, or text in which nothing can do anything to the terminal. */
export function print(context: CliContext, { json }: PolicyOptions, document: unknown, text: string): void {
  context.out.write(`${json ? JSON.stringify(document) : plainText(text)}\n`);
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
