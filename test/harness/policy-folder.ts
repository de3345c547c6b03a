/** The shipped policy as a folder of a test's own, to be edited. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PolicyFile } from '../../policies/parse.ts';

const SHIPPED = fileURLToPath(import.meta.resolve('../../policies/levels'));

export class PolicyFolder {
  readonly path: string;

  constructor() {
    this.path = mkdtempSync(join(tmpdir(), 'pyrepl3-policies-'));
    cpSync(SHIPPED, this.path, { recursive: true });
  }

  /** Puts one text in a level's file in place of another; each file is replaced in one step, as an editor does. */
  edit(level: string, from: string | RegExp, to: string): this {
    const file = join(this.path, `${level}.yaml`);
    const text = readFileSync(file, 'utf8');
    const edited = text.replace(from, to);
    if (edited === text) throw new Error(`nothing in ${level}.yaml matches ${from}`);
    return this.write(`${level}.yaml`, edited);
  }

  /** States a grant of a level in place of the one that is there, or adds it. */
  grant(level: string, capability: string, grant: string): this {
    const file = join(this.path, `${level}.yaml`);
    const text = readFileSync(file, 'utf8');
    const line = new RegExp(`^  ${capability}: .*$`, 'm');
    const stated = `  ${capability}: ${grant}`;
    const edited = line.test(text) ? text.replace(line, stated) : text.replace(/^grants:$/m, `grants:\n${stated}`);
    return this.write(`${level}.yaml`, edited);
  }

  write(name: string, text: string): this {
    const file = join(this.path, name);
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
    return this;
  }

  /** As clients send them. */
  get files(): PolicyFile[] {
    return readdirSync(this.path).map((name) => ({ name, text: readFileSync(join(this.path, name), 'utf8') }));
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
