/**
 * Capabilities whose effects are counted in a file, and which can be told to end the daemon in the middle: `tally` may be done again,
 * `strike` may not. Both take a name and answer how often an effect of that name has been done.
 *
 * A file `before-NAME` or `after-NAME` in the folder ends the daemon before or after the effect, once, and `hosts-before-NAME` or
 * `hosts-after-NAME` its sandbox hosts; while there is a file `hold-NAME`, the effect waits after it was done.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { PolicyFolder } from '../harness/policy-folder.ts';

export type Marker = 'before' | 'after' | 'hosts-before' | 'hosts-after' | 'hold';
type Teardown = Pick<ExecutionContext, 'teardown'>;

const module = (name: string, idempotent: boolean, folder: string): string => `
import { appendFileSync, existsSync, readFileSync, rmSync, watch } from 'node:fs';
import { join } from 'node:path';
import { Capability, Fault } from 'pyrepl3/capability';
import * as v from 'valibot';

const folder = ${JSON.stringify(folder)};
const file = (kind, name) => join(folder, kind + '-' + name);
function dieOnce(marker) {
  if (!existsSync(marker)) return;
  rmSync(marker);
  process.kill(process.pid, 'SIGKILL');
  for (;;);
}
function killHostsOnce(marker) {
  if (!existsSync(marker)) return;
  rmSync(marker);
  const children = readFileSync('/proc/' + process.pid + '/task/' + process.pid + '/children', 'utf8');
  for (const pid of children.split(' ').filter((pid) => pid !== ''))
    if (readFileSync('/proc/' + pid + '/cmdline', 'utf8').includes('sandbox')) process.kill(Number(pid), 'SIGKILL');
}
async function released(marker, signal) {
  while (existsSync(marker)) {
    if (signal.aborted) throw new Fault('INTERRUPTED', 'The session ended meanwhile.');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

class Effect extends Capability {
  name = '${name}';
  summary = 'Counts.';
  signature = 'declare function ${name}(name: string): Promise<number>;';
  stub = '';
  idempotent = ${idempotent};
  patient = false;
  args = v.strictTuple([v.pipe(v.string(), v.maxLength(64))]);
  constraints = v.strictObject({});
  refuse() { return null; }
  async invoke({ args: [name] }, { signal }) {
    killHostsOnce(file('hosts-before', name));
    dieOnce(file('before', name));
    appendFileSync(join(folder, 'effects'), name + '\\n');
    killHostsOnce(file('hosts-after', name));
    dieOnce(file('after', name));
    appendFileSync(file('done', name), '.');
    await released(file('hold', name), signal);
    return readFileSync(join(folder, 'effects'), 'utf8').split('\\n').filter((each) => each === name).length;
  }
}
export const capability = new Effect();
`;

export class CountedEffects {
  readonly folder = mkdtempSync(join(tmpdir(), 'pyrepl3-effects-'));
  readonly policy = new PolicyFolder();

  constructor(t: Teardown) {
    t.teardown(() => {
      rmSync(this.folder, { recursive: true, force: true });
      this.policy.remove();
    });
    const modules = join(this.folder, 'capabilities');
    mkdirSync(modules);
    writeFileSync(join(modules, 'strike.js'), module('strike', false, this.folder), { mode: 0o644 });
    writeFileSync(join(modules, 'tally.js'), module('tally', true, this.folder), { mode: 0o644 });
    this.policy.grant('trusted', 'tally', '{}').grant('trusted', 'strike', '{}');
    writeFileSync(join(this.folder, 'effects'), '');
  }

  /** For the daemon. */
  get args(): readonly string[] {
    return ['--capabilities', join(this.folder, 'capabilities'), '--policies', this.policy.path];
  }

  /** What was done, in order. */
  get done(): readonly string[] {
    return readFileSync(join(this.folder, 'effects'), 'utf8')
      .split('\n')
      .filter((name) => name !== '');
  }

  mark(kind: Marker, name: string): void {
    writeFileSync(join(this.folder, `${kind}-${name}`), '');
  }

  release(name: string): void {
    rmSync(join(this.folder, `hold-${name}`), { force: true });
  }

  /** Resolves once an effect of that name has been done, and is held. */
  begun(name: string): Promise<void> {
    const marker = join(this.folder, `done-${name}`);
    return new Promise((resolve) => {
      const watcher = watch(this.folder, () => look());
      const look = (): void => {
        if (!existsSync(marker)) return;
        watcher.close();
        resolve();
      };
      look();
    });
  }
}
