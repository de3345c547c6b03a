import vm from 'node:vm';
import { type CellLanguage, prepareCell } from '../../../sandbox/javascript/prepare.ts';

/** A session as the sandbox host keeps one, without an isolate: it evaluates prepared cells in a context of node:vm. */
export class PrepareSession {
  readonly constants = new Set<string>();
  // Not contextified: its global object is an ordinary one, as in an isolate.
  readonly #context = vm.createContext(vm.constants.DONT_CONTEXTIFY);
  readonly #evaluate: (script: string) => unknown;
  readonly global: Record<string, unknown>;
  readonly output: string[] = [];
  #cells = 0;

  constructor() {
    this.#evaluate = vm.runInContext('eval', this.#context);
    this.global = vm.runInContext('this', this.#context);
    this.global.console = { log: (...values: unknown[]) => this.output.push(`${values.join(' ')}\n`), error: () => {} };
  }

  /** Runs a cell and gives its value; throws what it throws, and a SyntaxError for one that does not parse. */
  async run(source: string, language: CellLanguage = 'javascript'): Promise<unknown> {
    const { constants } = this;
    this.#cells += 1;
    const preparation = await prepareCell(source, { language, cellName: `cell:${this.#cells}`, constants });
    if (!preparation.ok) throw Object.assign(new SyntaxError(preparation.error.message), { where: preparation.error });
    const { scripts, boxed, declared } = preparation.cell;
    for (const { name } of declared) this.#thaw(name);
    try {
      let value: unknown;
      for (const script of scripts) value = this.#evaluate(script);
      return boxed ? ((await value) as { value: unknown }).value : value;
    } finally {
      for (const { name, kind } of declared) if (kind === 'const') this.#freeze(name);
    }
  }

  #thaw(name: string): void {
    this.constants.delete(name);
    const value = this.global[name];
    const shape = { value, writable: true, enumerable: true, configurable: true };
    if (Object.getOwnPropertyDescriptor(this.global, name)?.writable !== true) {
      Object.defineProperty(this.global, name, shape);
    }
  }

  #freeze(name: string): void {
    this.constants.add(name);
    Object.defineProperty(this.global, name, { writable: false });
  }
}
