/** Runs one module of CPython's tests in an interpreter. */
import { readFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import { neededFiles } from './needed-files.ts';

export interface TestEnd {
  readonly id: string;
  readonly end: 'passed' | 'failed' | 'skipped';
  /** The exception of a failure; why it was skipped. */
  readonly reason: string;
}

/** What takes Python and answers the JSON value of its last expression. */
export interface Interpreter {
  /** @throws Error where the code does not end well */
  run(source: string): Promise<unknown>;
  close(): Promise<unknown>;
}

const DRIVER = readFileSync(new URL('./driver.py', import.meta.url), 'utf8');
const PIECE = 512 * 1024;
/** In place of the tests of a module that could not be loaded. */
const LOADING = 'loading the module';

export class ModuleRun {
  readonly #open: () => Promise<Interpreter>;
  readonly #module: string;
  readonly #packed: string;
  #interpreter: Interpreter | undefined;

  /**
   * @param folder holds the package `test`
   * @param module without the `test.` of its package: `test_dict`, `test_asyncio.test_tasks`
   */
  constructor(open: () => Promise<Interpreter>, folder: string, module: string) {
    this.#open = open;
    this.#module = module;
    const files = [...neededFiles(folder, `test.${module}`)];
    const plain = Object.fromEntries(files.map(([path, content]) => [path, content.toString('base64')]));
    this.#packed = deflateSync(JSON.stringify(plain)).toString('base64');
  }

  /** @param endsAll whether the test is one that ends its interpreter, so that it gets one of its own */
  async run(endsAll: (id: string) => boolean): Promise<readonly TestEnd[]> {
    let ids: string[];
    try {
      ids = JSON.parse(String(await this.#ask('json.dumps([test.id() for test in driver.tests])'))) as string[];
    } catch (error) {
      await this.#close();
      return [{ id: LOADING, end: 'failed', reason: (error as Error).message }];
    }
    const isAlone = (index: number): boolean => endsAll(this.#short(ids[index] ?? ''));
    const together = ids.map((_, index) => index).filter((index) => !isAlone(index));
    const ends = await this.#runTests(together);
    for (const index of ids.keys()) if (isAlone(index)) ends.push(...(await this.#runTests([index])));
    await this.#close();
    return ends;
  }

  /** Where they do not all come to an end, the half that is to blame is looked for, down to the one test. */
  async #runTests(indexes: readonly number[]): Promise<TestEnd[]> {
    try {
      const ends = JSON.parse(String(await this.#ask(`driver.run([${indexes}])`))) as Record<
        string,
        [TestEnd['end'], string]
      >;
      return Object.entries(ends).map(([id, [end, reason]]) => ({ id: this.#short(id), end, reason }));
    } catch (error) {
      await this.#close();
      if (indexes.length > 1) {
        const middle = indexes.length >> 1;
        return [...(await this.#runTests(indexes.slice(0, middle))), ...(await this.#runTests(indexes.slice(middle)))];
      }
      const id = this.#short(String(await this.#ask(`driver.tests[${indexes}].id()`)));
      return [{ id, end: 'failed', reason: `ended the interpreter: ${(error as Error).message}` }];
    }
  }

  #short(id: string): string {
    return id.replaceAll(`test.${this.#module}.`, '');
  }

  async #ask(source: string): Promise<unknown> {
    this.#interpreter ??= await this.#prepared();
    return this.#interpreter.run(source);
  }

  async #prepared(): Promise<Interpreter> {
    const interpreter = await this.#open();
    const cells = [DRIVER, 'packed = ""'];
    for (let at = 0; at < this.#packed.length; at += PIECE) {
      cells.push(`packed += "${this.#packed.slice(at, at + PIECE)}"`);
    }
    for (const cell of [...cells, 'driver.unpack(packed)', 'del packed', `driver.load("test.${this.#module}")`]) {
      await interpreter.run(cell);
    }
    return interpreter;
  }

  async #close(): Promise<void> {
    await this.#interpreter?.close();
    this.#interpreter = undefined;
  }
}
