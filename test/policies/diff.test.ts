import test from 'ava';
import fc from 'fast-check';
import { diffPolicies } from '../../policies/diff.ts';
import type { PolicyFile } from '../../policies/parse.ts';
import { LEVELS } from '../../policies/policy.ts';
import { ownLevel, policyOf, withGrants } from './policy-of.ts';
import { editedFiles, shippedFiles } from './shipped-files.ts';

const shipped = policyOf(shippedFiles());

/** `+`, `-` or `~`, the level, and the words. */
function changesTo(files: readonly PolicyFile[], from = shipped): string[] {
  const signs = { more: '+', less: '-', other: '~' };
  return diffPolicies(from, policyOf(files)).map(({ allows, level, words }) => `${signs[allows]} ${level} ${words}`);
}

test('a policy and itself do not differ', (t) => {
  t.deepEqual(diffPolicies(shipped, policyOf(shippedFiles())), []);
});

test('a grant that is added says with which constraints, at its level and at those above that inherit it', (t) => {
  t.deepEqual(changesTo(withGrants('unrestricted', 'web_assembly: { approval: always, rate: 5/hour }')), [
    '- unrestricted web_assembly: approval "never" becomes "always"',
    '- unrestricted web_assembly: rate without end becomes 5/hour',
  ]);
  t.deepEqual(changesTo(withGrants('trusted', 'exec: { approval: always, rate: 5/hour, budget: { calls: 3 } }')), [
    '+ trusted exec is granted: programs none, timeMsMax 30000, outputBytesMax 1048576; a person agrees to each call; ' +
      'at most 5/hour; at most 3 calls a session',
    '- unrestricted exec: approval "never" becomes "always"',
    '- unrestricted exec: rate without end becomes 5/hour',
    '- unrestricted exec: budget of calls without end becomes 3',
  ]);
});

test('a grant that is taken away is less, at every level that inherited it', (t) => {
  t.deepEqual(
    changesTo(editedFiles('sandbox', (text) => text.replace('log: true', 'log: false'))),
    LEVELS.map((level) => `- ${level} log is no longer granted`),
  );
});

test('hosts and methods that are added are more, those that are taken away less', (t) => {
  const files = editedFiles('unrestricted', (text) =>
    text.replace('hosts: ["*:*"], resp', 'hosts: ["*", "a.example:8080"], resp'),
  );
  t.deepEqual(changesTo(files), ['- unrestricted fetch: hosts takes away "*:*"']);
  t.deepEqual(changesTo(shippedFiles(), policyOf(files)), ['+ unrestricted fetch: hosts adds "*:*"']);
});

test('blocked names that are added are less', (t) => {
  const files = editedFiles('trusted', (text) =>
    text.replace('{ roots: [workspace] }', '{ roots: [workspace], blocked: ["*.db"] }'),
  );
  t.deepEqual(changesTo(files).slice(0, 2), [
    '- trusted delete_file: blocked adds "*.db"',
    '+ trusted delete_file: blocked takes away ".git", ".ssh", ".env", "*.pem", "*.key"',
  ]);
});

test('limits, the rank and the audit of a level are told apart', (t) => {
  const files = editedFiles('unrestricted', (text) =>
    text
      .replace('heapMiBMax: 512', 'heapMiBMax: 600')
      .replace('rank: 50', 'rank: 55')
      .replace('audit: always', 'audit: interval'),
  );
  t.deepEqual(changesTo(files), [
    '~ unrestricted rank 50 becomes 55',
    '~ unrestricted audit records of its decisions are on the disk within a second',
    '+ unrestricted heapMiBMax 512 MiB becomes 600 MiB',
  ]);
});

test('a level of its own that comes is more, and one that goes is less', (t) => {
  const files = [...shippedFiles(), ownLevel('office', 15, 'extends: sandbox')];
  const grants = 'print, console, display, log, time, random';
  t.deepEqual(changesTo(files), [`+ office the level office is new (rank 15, extending sandbox); it grants ${grants}`]);
  t.deepEqual(changesTo(shippedFiles(), policyOf(files)), [
    '- office the level office is gone; its sessions may do nothing more',
  ]);
});

test('a ceiling that rises is more, and one that falls is less', (t) => {
  const files = editedFiles('policy', (text) => text.replace('client: trusted', 'client: unrestricted'));
  t.deepEqual(changesTo(files), ['+ * client.sock may ask for levels up to unrestricted, before up to trusted']);
  t.deepEqual(changesTo(shippedFiles(), policyOf(files)), [
    '- * client.sock may ask for levels up to trusted, before up to unrestricted',
  ]);
});

test('a name that comes to stand for something else is told, and a password is not', (t) => {
  const files = editedFiles('policy', (text) =>
    text
      .replace('workspace: { private: true }', 'workspace: { path: /srv/data }')
      .replace('# secrets:', 'secrets:\n  token: { env: TOKEN }\n# secrets:'),
  );
  t.deepEqual(changesTo(files), [
    '~ * roots: "workspace" stands for path "/srv/data", before for a place of each session\'s own',
    '~ * secrets: "token" is new and stands for env "TOKEN"',
  ]);
  t.deepEqual(changesTo(shippedFiles(), policyOf(files)).at(-1), '~ * secrets: "token" is gone');
});

test('what words say of a name from a file holds nothing that a terminal would act on', (t) => {
  const files = editedFiles('policy', (text) =>
    text.replace('# variables:', 'variables:\n  A: { value: "\\e[2J\\u202e" }\n# variables:'),
  );
  t.notRegex(changesTo(files).join(''), /[\p{Cc}\p{Cf}]/u);
});

test('whatever is more one way is less the other way', (t) => {
  const edits = fc.record({
    heap: fc.integer({ min: 100, max: 120 }),
    ms: fc.integer({ min: 1000, max: 60_000 }),
    rate: fc.constantFrom('1/second', '60/minute', '90/minute'),
    approval: fc.constantFrom('never', 'once', 'always'),
  });
  const build = (edit: typeof edits extends fc.Arbitrary<infer T> ? T : never) =>
    policyOf([
      ...shippedFiles(),
      ownLevel(
        'office',
        15,
        'extends: sandbox',
        `grants: { sleep: { msMax: ${edit.ms}, rate: ${edit.rate}, approval: ${edit.approval} } }`,
        `limits: { heapMiBMax: ${edit.heap} }`,
      ),
    ]);
  fc.assert(
    fc.property(edits, edits, (one, other) => {
      const there = diffPolicies(build(one), build(other)).map(({ allows }) => allows);
      const back = diffPolicies(build(other), build(one)).map(({ allows }) => allows);
      const opposite = { more: 'less', less: 'more', other: 'other' };
      return JSON.stringify(there.map((allows) => opposite[allows])) === JSON.stringify(back);
    }),
    { numRuns: 40 },
  );
  t.pass();
});
