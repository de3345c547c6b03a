import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import test from 'ava';
import { repoFiles, root } from './repo-files.ts';

const pages = repoFiles.filter(({ path }) => path.endsWith('.md') && (path.startsWith('docs/') || !path.includes('/')));

/** The anchor GitHub gives a heading. */
function anchorOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{Letter}\p{Number}\s_-]/gu, '')
    .replace(/\s/g, '-');
}

function anchorsOf(markdown: string): string[] {
  return [...markdown.matchAll(/^#{1,6} (.+)$/gm)].map((match) => anchorOf(match[1] ?? ''));
}

/** The links of one page that lead nowhere. Code is left out: it may hold brackets that are no link. */
function deadLinks(path: string, markdown: string): string[] {
  const prose = markdown.replace(/^(```|~~~)[\s\S]*?^\1/gm, '').replace(/`[^`\n]*`/g, 'code');
  const targets = [...prose.matchAll(/\]\(\s*<?([^)\s>]+)/g), ...prose.matchAll(/^\[[^\]]+\]:\s+(\S+)/gm)];
  return targets
    .map((match) => match[1] ?? '')
    .filter((target) => !/^[a-z][a-z0-9+.-]*:/i.test(target))
    .filter((target) => {
      const [file = '', anchor] = target.split('#');
      const linked = file === '' ? path : posix.join(dirname(path), decodeURIComponent(file));
      if (file !== '' && !existsSync(join(root, linked))) return true;
      if (!anchor || !linked.endsWith('.md')) return false;
      const text = linked === path ? markdown : readFileSync(join(root, linked), 'utf8');
      return !anchorsOf(text).includes(anchor);
    })
    .map((target) => `${path}: ${target}`);
}

test('every link between pages leads to a file and a heading that exist', (t) => {
  t.deepEqual(
    pages.flatMap(({ path, text }) => deadLinks(path, text)),
    [],
  );
  t.is(deadLinks('README.md', '[a](docs/missing.md) [b](https://example.com) [c](#here)\n## Here').length, 1);
});

test('every dependency is pinned to one exact version', (t) => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
    'dependencies' | 'devDependencies',
    Record<string, string>
  >;
  const versions = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
  const loose = versions.filter(([, version]) => !/^(?:npm:[\w@/-]+@)?\d+\.\d+\.\d+$/.test(version));
  t.deepEqual(loose, []);
});

test('the package exports exactly the names of client/index.ts', async (t) => {
  const [exported, source] = await Promise.all([import('pyrepl3/client'), import('../../client/index.ts')]);
  t.deepEqual(Object.keys(exported), Object.keys(source));
});
