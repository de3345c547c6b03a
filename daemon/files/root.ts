/** What one call may do with the files under one root. Every failure is a Fault that names no path of the machine. */
import { fileFault, interrupted } from './file-faults.ts';
import { type ReadOptions, readPart } from './file-reader.ts';
import type { FileSlots } from './file-slots.ts';
import { removeEntry, type WriteOptions, writeWhole } from './file-writer.ts';
import { type ListedPage, type ListOptions, listFolder } from './folder-lister.ts';
import { PathWalk, type WalkRules } from './path-walk.ts';
import type { SessionRoot } from './session-root.ts';

export type RootRules = Omit<WalkRules, 'step'> & { readonly signal: AbortSignal };

export class Root {
  readonly #root: SessionRoot;
  readonly #slots: FileSlots;
  readonly #rules: RootRules;

  constructor(root: SessionRoot, slots: FileSlots, rules: RootRules) {
    this.#root = root;
    this.#slots = slots;
    this.#rules = rules;
  }

  read(names: readonly string[], options: ReadOptions): Promise<Buffer> {
    return this.#run(this.#root.begin(), (walk) => readPart(walk, names, options));
  }

  list(names: readonly string[], options: ListOptions): Promise<ListedPage> {
    return this.#run(this.#root.begin(), (walk) => listFolder(walk, names, options));
  }

  /** Answers the size of the file afterwards. */
  async write(names: readonly string[], bytes: Uint8Array, options: WriteOptions): Promise<number> {
    return this.#run(await this.#root.beginChange(), (walk) => writeWhole(walk, names, bytes, options));
  }

  async remove(names: readonly string[]): Promise<void> {
    return this.#run(await this.#root.beginChange(), (walk) => removeEntry(walk, names));
  }

  #run<T>(ended: () => void, work: (walk: PathWalk) => Promise<T>): Promise<T> {
    return this.#slots.run(
      this.#root.name,
      this.#rules.signal,
      async (step) => {
        const stepOfRoot = (): void => {
          step();
          if (this.#root.isClosed) throw interrupted();
        };
        try {
          stepOfRoot();
          await this.#root.prepare();
          return await work(new PathWalk(this.#root, { ...this.#rules, step: stepOfRoot }));
        } catch (error) {
          throw fileFault(error, this.#rules.capability);
        }
      },
      ended,
    );
  }
}
