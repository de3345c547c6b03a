import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '../client.ts';
import type { PolicyFile } from '../protocol.ts';
import { LineSource } from '../terminal/line-source.ts';
import { renderChanges, renderDiff, renderProblems } from '../terminal/render-policy.ts';
import { plainText } from '../terminal/terminal-filter.ts';
import type { CliContext } from './cli-context.ts';
import { CliError, EXIT, usageError } from './cli-error.ts';
import { filesIn, folderInForce, type PolicyOptions, print, reachRunning } from './policy.ts';
import type { PolicyFolder } from './policy-folder.ts';

export interface PolicyEditOptions extends PolicyOptions {
  readonly widenRunning?: boolean;
}

const RESOURCES = 'policy';
const SINCE_HOURS = 24;

/**
 * `pyrepl3 policy edit LEVEL`: a copy in the editor, checked, shown as what it changes, and applied once a person agrees. `policy`
 * stands for `policy.yaml`. A text that is not applied is kept.
 */
export async function policyEdit(context: CliContext, level: string, options: PolicyEditOptions): Promise<number> {
  const editor = context.env['VISUAL'] || context.env['EDITOR'];
  if (!editor) throw usageError('there is no editor: set VISUAL or EDITOR, such as EDITOR=nano');
  await using reached = await reachRunning(context, options);
  const { client } = reached;
  const { hash } = await client.call('policy.list', {});
  const folder = await folderInForce(client);
  const { name, text } = await fileOf(client, folder, level);
  const copyFolder = await mkdtemp(join(tmpdir(), 'pyrepl3-edit-'));
  const copy = join(copyFolder, name);
  await writeFile(copy, text, { mode: 0o600 });
  let isKept = false;
  try {
    const edited = await editUntilValid(context, client, { editor, copy, folder, name });
    if (edited === text) {
      print(context, options, { applied: false, hash }, 'nothing is changed');
      return EXIT.ok;
    }
    isKept = true;
    const files = edited === null ? null : replaced(folder.files, name, edited);
    if (files === null || !(await isWanted(context, client, files))) {
      print(context, options, { applied: false, hash, text: copy }, 'nothing is applied');
      return EXIT.failed;
    }
    if ((await client.call('policy.list', {})).hash !== hash) {
      const message = 'the policy has been changed by somebody else meanwhile; nothing is applied, edit it again';
      throw new CliError(message, { status: EXIT.failed });
    }
    const applied = await client.call('policy.apply', { files, widenRunning: options.widenRunning ?? false });
    isKept = false;
    const summary = `policy ${applied.hash} is in force, before ${applied.previousHash}`;
    print(context, options, { applied: true, ...applied }, summary);
    return EXIT.ok;
  } finally {
    if (isKept) context.err.write(`the edited text is in ${copy}\n`);
    else await rm(copyFolder, { recursive: true, force: true });
  }
}

/** The file that states the level; by its text, because it may have any name. */
async function fileOf(client: Client, { path, files }: PolicyFolder, level: string): Promise<PolicyFile> {
  const named = (name: string): PolicyFile | undefined => files.find((file) => file.name === `${name}.yaml`);
  if (level === RESOURCES || level === `${RESOURCES}.yaml`)
    return named(RESOURCES) ?? { name: `${RESOURCES}.yaml`, text: '' };
  const info = await client.call('policy.show', { level });
  // On the disk it may have been edited, and refused, since the policy in force was read.
  const found = files.find(({ text }) => text === info.text) ?? named(info.level);
  if (found !== undefined) return found;
  throw new CliError(`none of the files in ${path} is that of level ${info.level}; edit them there`, {
    status: EXIT.failed,
  });
}

interface Editing {
  readonly editor: string;
  readonly copy: string;
  readonly folder: PolicyFolder;
  readonly name: string;
}

/** The text once the policy is whole with it; null where the person gives up. */
async function editUntilValid(context: CliContext, client: Client, editing: Editing): Promise<string | null> {
  const { editor, copy, folder, name } = editing;
  for (;;) {
    await runEditor(editor, copy);
    const text = await readFile(copy, 'utf8');
    const files = replaced(folder.files, name, text);
    const { ok, problems } = await client.call('policy.validate', { files });
    if (ok) return text;
    const shown = renderProblems(problems, filesIn({ path: '', files }));
    context.err.write(`${plainText(shown)}\n`);
    if (!(await confirm(context, 'Edit again?'))) return null;
  }
}

async function isWanted(context: CliContext, client: Client, files: PolicyFile[]): Promise<boolean> {
  const diff = await client.call('policy.diff', { to: files, sinceHours: SINCE_HOURS });
  const shown = diff.callsConsidered === 0 ? renderChanges(diff.changes) : renderDiff(diff, SINCE_HOURS);
  context.err.write(`${plainText(shown)}\n`);
  return await confirm(context, 'Apply?');
}

function replaced(files: readonly PolicyFile[], name: string, text: string): PolicyFile[] {
  return [...files.filter((file) => file.name !== name), { name, text }];
}

/** Through the shell, because the variable may hold a command with arguments. */
async function runEditor(editor: string, file: string): Promise<void> {
  const child = spawn('/bin/sh', ['-c', `${editor} "$1"`, 'sh', file], { stdio: 'inherit' });
  const status = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('exit', resolve));
  if (status !== 0)
    throw new CliError(`the editor (${editor}) ended with status ${status}; nothing is applied`, {
      status: EXIT.failed,
    });
}

/** Anything but a yes is a no. */
async function confirm(context: CliContext, question: string): Promise<boolean> {
  context.err.write(`${question} [y/N] `);
  const lines = new LineSource({ input: context.stdin });
  try {
    return /^y(?:es)?$/i.test(((await lines.next('')) ?? '').trim());
  } finally {
    lines.close();
  }
}
