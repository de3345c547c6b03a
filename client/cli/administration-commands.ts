/** The commands of administrators on the command line: approvals, the policy, the audit log. */
import { type Command, Option } from 'commander';
import { approvalsAnswer, approvalsDecide, approvalsList, approvalsShow } from './approvals.ts';
import { auditQuery, auditTail, auditVerify } from './audit.ts';
import { jsonOption, parseCount, stateDirOption } from './options.ts';
import { policyApply, policyCheck, policyDiff, policyExplain, policyList, policyShow, policyTest } from './policy.ts';
import { policyEdit } from './policy-edit.ts';
import type { AddCommand } from './program.ts';

/** A command of a group, with the options that all of them have. */
function command(group: Command, usage: string, description: string): Command {
  return group.command(usage).description(description).addOption(stateDirOption()).addOption(jsonOption());
}

export const addApprovals: AddCommand = (program, context, settle) => {
  const approvals = program.command('approvals').description('answer what waits for a person');
  command(approvals, 'list', 'list the requests')
    .addOption(new Option('--status <status>', 'default: pending').choices(['pending', 'settled', 'all']))
    .option('--watch', 'go on with what becomes of them, until Ctrl-C')
    .action((options) => settle(approvalsList(context, options)));
  command(approvals, 'show', 'show one, whole')
    .argument('<id>', 'the request, or the beginning of its id')
    .action((id, options) => settle(approvalsShow(context, id, options)));
  for (const decision of ['approve', 'deny'] as const) {
    command(approvals, decision, `${decision} one, after it was shown`)
      .argument('<id>', 'the request')
      .option('--comment <text>', 'told to the code, and recorded')
      .option('-y, --yes', 'decide without asking')
      .action((id, options) => settle(approvalsDecide(context, id, decision, options)));
  }
  command(approvals, 'answer', 'approve a review with another value in place of the one that was shown')
    .argument('<id>', 'the request')
    .argument('<value>', 'JSON, or - for stdin')
    .option('--comment <text>', 'told to the code, and recorded')
    .option('-y, --yes', 'decide without asking')
    .action((id, value, options) => settle(approvalsAnswer(context, id, value, options)));
};

export const addPolicy: AddCommand = (program, context, settle) => {
  const policy = program.command('policy').description('look at the policy, try another one, put it in force');
  command(policy, 'list', 'list the levels in force').action((options) => settle(policyList(context, options)));
  command(policy, 'show', 'show a level')
    .argument('<level>', 'its name')
    .option('--effective', 'with everything that it inherits, and where each rule is written')
    .action((level, options) => settle(policyShow(context, level, options)));
  command(policy, 'check', 'say what is wrong with the files of a policy')
    .argument('[dir]', 'a folder of level files; the one in force unless given')
    .action((dir, options) => settle(policyCheck(context, dir, options)));
  command(policy, 'diff', 'say in words what one policy grants and takes away against another')
    .argument('<a>', 'a folder; against the policy in force where it is alone')
    .argument('[b]', 'the folder that would replace it')
    .option('--since <hours>', 'how far back calls are looked at (default: 24)', parseCount)
    .action((a, b, options) => settle(policyDiff(context, a, b, options)));
  command(policy, 'explain', 'name the rule that decides')
    .requiredOption('--level <level>', 'a level')
    .requiredOption('--capability <name>', 'a capability')
    .option('--args <json>', 'the arguments of a call, as a JSON array')
    .option('--policies <dir>', 'by the files in this folder')
    .action((options) => settle(policyExplain(context, options)));
  command(policy, 'test', 'run a table of expected decisions')
    .argument('<file>', 'the table, in YAML')
    .option('--policies <dir>', 'by the files in this folder')
    .action((file, options) => settle(policyTest(context, file, options)));
  command(policy, 'edit', 'edit a level in $EDITOR, see what it changes, and apply it')
    .argument('<level>', 'its name, or "policy" for policy.yaml')
    .option('--widen-running', 'running sessions get what it adds')
    .action((level, options) => settle(policyEdit(context, level, options)));
  command(policy, 'apply', 'put the files of a folder in force')
    .argument('<dir>', 'the folder')
    .option('--widen-running', 'running sessions get what it adds')
    .option('--dry-run', 'only say what it would change')
    .action((dir, options) => settle(policyApply(context, dir, options)));
};

export const addAudit: AddCommand = (program, context, settle) => {
  const audit = program.command('audit').description('read and verify the audit log');
  command(audit, 'verify', 'find every record that was edited, moved, removed or cut off; needs no daemon')
    .argument('[paths...]', 'a folder or files of a log; the one of the state directory unless given')
    .option('--key <file>', 'a public key to trust in place of the one in the folder; may be repeated', collect)
    .option('--head <file>', 'a signed head that was kept elsewhere; may be repeated', collect)
    .option('--first <seq>', 'where the chain begins, should older files have been removed')
    .action((paths, options) => settle(auditVerify(context, paths, options)));
  command(audit, 'query', 'find records, newest first')
    .option('--since <time>', 'from this time on, or for so long: 24h, 30m')
    .option('--until <time>', 'up to this time')
    .option('--session <id>', 'of one session')
    .option('--level <level>', 'of one level')
    .option('--capability <name>', 'of one capability')
    .addOption(new Option('--verdict <verdict>', 'of one decision').choices(['allow', 'deny', 'ask']))
    .option('--kind <kind>', 'of one kind, such as policy.applied')
    .option('--limit <count>', 'at most so many (default: 100)', parseCount)
    .option('--csv', 'as CSV')
    .action((options) => settle(auditQuery(context, options)));
  command(audit, 'tail', 'print the newest records')
    .option('-f, --follow', 'go on with those that follow, until Ctrl-C')
    .action((options) => settle(auditTail(context, options)));
};

function collect(value: string, values: readonly string[] = []): readonly string[] {
  return [...values, value];
}
