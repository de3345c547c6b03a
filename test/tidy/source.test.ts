import { basename } from 'node:path';
import test from 'ava';
import ts from 'typescript-transpiler';
import { type RepoFile, repoFiles, sourceFiles, zones } from './repo-files.ts';

const linesMax = 400;

// Written in pieces, so that this file does not break its own rules.
const unfinished = new RegExp(`\\b(?:${'TO'}DO|${'FIX'}ME)\\b`);
const machinePath = new RegExp(`(?<![\\w.])/(?:${'wor'}k|${'roo'}t|tmp/${'bash'}_jobs)(?:/|\\b)`);
const registryHost = new RegExp(`\\bregistry\\.${'npmjs'}\\.|\\bnpm${'.'}pkg${'.'}|"${'resolved'}":`);

const topLevel = ['bench', 'client', 'daemon', 'docs', 'policies', 'sandbox', 'test'];

/** Whether some node of the program is what `matches` looks for; strings and comments are not. */
function some(file: RepoFile, matches: (node: ts.Node) => boolean): boolean {
  const visit = (node: ts.Node): boolean => matches(node) || (ts.forEachChild(node, visit) ?? false);
  return visit(ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest));
}

function evaluatesText(file: RepoFile): boolean {
  return some(
    file,
    (node) =>
      (ts.isCallExpression(node) || ts.isNewExpression(node)) &&
      ts.isIdentifier(node.expression) &&
      ['eval', 'Function'].includes(node.expression.text),
  );
}

function readsEnvironment(file: RepoFile): boolean {
  return some(
    file,
    (node) =>
      (ts.isPropertyAccessExpression(node) &&
        node.name.text === 'env' &&
        ts.isIdentifier(node.expression) &&
        node.expression.text === 'process') ||
      (ts.isImportSpecifier(node) && (node.propertyName ?? node.name).text === 'env'),
  );
}

/** tsc rewrites the extension of an import, and of nothing else: such a path would be wrong in dist/. */
function namesSourceByUrl(file: RepoFile): boolean {
  return some(
    file,
    (node) =>
      ts.isNewExpression(node) &&
      ts.isIdentifier(node.expression) &&
      node.expression.text === 'URL' &&
      node.arguments?.[0] !== undefined &&
      ts.isStringLiteral(node.arguments[0]) &&
      node.arguments[0].text.endsWith('.ts'),
  );
}

const pathsOf = (files: readonly RepoFile[]) => files.map(({ path }) => path);

test('F15: no function of the host that guest code can call answers a promise', (t) => {
  const { text = '' } = sourceFiles.find(({ path }) => path === 'sandbox/isolate.ts') ?? {};
  const callbacks = [...text.matchAll(/new ivm\.Callback\(([^;]*)\);?/g)].map(([, args]) => args ?? '');
  t.true(callbacks.length >= 2);
  for (const args of callbacks) t.notRegex(args, /async/);
  t.notRegex(text, /applySyncPromise|new ivm\.Reference\(/);
});

test('the daemon never evaluates text as code', (t) => {
  const daemon = sourceFiles.filter(({ path }) => path.startsWith('daemon/'));
  t.deepEqual(pathsOf(daemon.filter(evaluatesText)), []);
  t.true(evaluatesText({ path: 'a.ts', text: `f(new Function('return 1'));` }));
  t.true(evaluatesText({ path: 'a.ts', text: `eval(x);` }));
  t.false(evaluatesText({ path: 'a.ts', text: `// eval(x)\nconst s = 'eval(x)';` }));
});

test('only the entry points read the environment', (t) => {
  // client/index.ts is where a user's program enters, and finds the default state directory.
  const entries = new Set(['daemon/main.ts', 'client/index.ts']);
  const inner = sourceFiles.filter(({ path }) => !entries.has(path) && !path.startsWith('client/cli/'));
  t.deepEqual(pathsOf(inner.filter(readsEnvironment)), []);
  t.true(readsEnvironment({ path: 'a.ts', text: `const home = process.env.HOME;` }));
  t.true(readsEnvironment({ path: 'a.ts', text: `import { env } from 'node:process';` }));
});

test('no module is named by a .ts path that the build would leave as it is', (t) => {
  const typescript = sourceFiles.filter(({ path }) => path.endsWith('.ts'));
  t.deepEqual(pathsOf(typescript.filter(namesSourceByUrl)), []);
  t.true(namesSourceByUrl({ path: 'a.ts', text: `new URL('../sandbox/main.ts', import.meta.url);` }));
});

// A guest module reaches the isolate as the text of one function, so these two cannot be cut into several files.
const wholeGuestModules = new Set(['sandbox/javascript/guest/inspect.ts', 'sandbox/javascript/guest/url.ts']);

test('every source file has at most 400 lines', (t) => {
  const long = sourceFiles.filter(
    ({ path, text }) => !wholeGuestModules.has(path) && text.split('\n').length - 1 > linesMax,
  );
  t.deepEqual(pathsOf(long), []);
});

test('no file is named for being useful instead of for its role', (t) => {
  const vague = /^(?:utils?|helpers?|types?|common|misc)\.[jt]s$/;
  t.deepEqual(pathsOf(repoFiles.filter(({ path }) => vague.test(basename(path)))), []);
});

// Tests of PostgreSQL need a server, which `.ci/run` always starts; where there is none they are shown as skipped.
const mayLeaveOut = ['test/cpython/cpython.test.ts', 'test/harness/postgres.ts', 'test/harness/small-disk.ts'];

test('no test is left out or run alone', (t) => {
  const marked = /\btest(?:\.\w+)*\.(?:only|skip|failing)\b/;
  const tests = repoFiles.filter(({ path }) => path.startsWith('test/') && path.endsWith('.ts'));
  t.deepEqual(pathsOf(tests.filter(({ path, text }) => !mayLeaveOut.includes(path) && marked.test(text))), []);
});

test('nothing in the repository is marked as unfinished', (t) => {
  t.deepEqual(pathsOf(repoFiles.filter(({ text }) => unfinished.test(text))), []);
});

test('nothing in the repository names a path of one machine or the host of a registry', (t) => {
  t.deepEqual(pathsOf(repoFiles.filter(({ text }) => machinePath.test(text) || registryHost.test(text))), []);
});

test('the top level holds the folders of the layout and no others', (t) => {
  const folders = new Set(
    repoFiles.filter(({ path }) => path.includes('/')).map(({ path }) => path.split('/')[0] ?? ''),
  );
  t.deepEqual(
    [...folders].filter((folder) => !folder.startsWith('.') && !topLevel.includes(folder)),
    [],
  );
  t.true(zones.every((zone) => topLevel.includes(zone)));
});
