// Keeps prepared cells by their content, and forgets those that were not used for longest.
//
// It keeps two generations: what is used moves to the recent one, and when that is full the older one is dropped and the
// recent one becomes the older. A hit therefore moves nothing as a rule; moving an entry to the end of a large Map at
// every hit costs twenty times as much as the look-up.
//
// I1: the sources of the kept variants together never hold more than `bytesMax` bytes: half of that in a generation.
// I2: a variant is told apart by exactly those constants of the session that the source assigns to, so that the same
//     source is prepared once for all sessions that agree on them.

interface Entry<Value> {
  readonly bytes: number;
  /** The names the source assigns to: the only constants that can change what it is prepared to. */
  readonly assigned: readonly string[];
  readonly variants: Map<string, Value>;
}

export class PrepareCache<Language extends string, Value> {
  readonly #generationBytesMax: number;
  #recent = new Map<string, Entry<Value>>();
  #older = new Map<string, Entry<Value>>();
  #recentBytes = 0;

  constructor(bytesMax: number) {
    this.#generationBytesMax = bytesMax / 2;
  }

  get(language: Language, source: string, constants: ReadonlySet<string>): Value | undefined {
    const entry = this.#use(`${language}\n${source}`);
    return entry?.variants.get(variantOf(entry.assigned, constants));
  }

  set(
    language: Language,
    source: string,
    constants: ReadonlySet<string>,
    { assigned, value }: { readonly assigned: readonly string[]; readonly value: Value },
  ): void {
    const key = `${language}\n${source}`;
    const bytes = sizeOf(source);
    if (bytes > this.#generationBytesMax) return;
    const entry: Entry<Value> = this.#use(key) ?? { bytes, assigned, variants: new Map() };
    const variant = variantOf(entry.assigned, constants);
    if (!entry.variants.has(variant)) this.#makeRoom(bytes);
    // Making room may have made the entry one of the older generation.
    const current = this.#use(key) ?? entry;
    if (!current.variants.has(variant)) this.#recentBytes += bytes;
    current.variants.set(variant, value);
    this.#recent.set(key, current);
  }

  #use(key: string): Entry<Value> | undefined {
    const recent = this.#recent.get(key);
    if (recent !== undefined) return recent;
    const entry = this.#older.get(key);
    if (entry === undefined) return undefined;
    this.#older.delete(key);
    const bytes = entry.bytes * entry.variants.size;
    this.#makeRoom(bytes);
    this.#recentBytes += bytes;
    this.#recent.set(key, entry);
    return entry;
  }

  #makeRoom(bytes: number): void {
    if (this.#recentBytes + bytes <= this.#generationBytesMax) return;
    this.#older = this.#recent;
    this.#recent = new Map();
    this.#recentBytes = 0;
  }
}

// Strings are held at two bytes a unit at worst; an empty cell still takes an entry.
function sizeOf(source: string): number {
  return 64 + 2 * source.length;
}

function variantOf(assigned: readonly string[], constants: ReadonlySet<string>): string {
  if (assigned.length === 0 || constants.size === 0) return '';
  return assigned.filter((name) => constants.has(name)).join();
}
