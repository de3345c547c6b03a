import type { GuestBuiltins } from '../builtins.ts';

type Pair = readonly [name: string, value: string];

export interface GuestHeaders {
  readonly Headers: new (init?: unknown) => object;
  /** Whether a text is a token of HTTP, as names of headers and methods are. */
  readonly isToken: (text: string) => boolean;
  /** From now on they refuse changes, as those of a received response do. */
  readonly freeze: (headers: object) => void;
  /** Adds a header, `name` in lower case, where there is none of that name. */
  readonly setDefault: (headers: object, name: string, value: string) => void;
  /** `[["name","value"],…]`, in the order in which they were added. */
  readonly json: (headers: object) => string;
}

/** `Headers` (Fetch Standard §5.1). Nothing is forbidden to guest code here; what may be sent is the daemon's to decide. */
export function makeHeaders(builtins: GuestBuiltins): GuestHeaders {
  const { TypeError, codeAt, slice, lowerCase, quote, isArray, iterator, ownKeys, describe, own, defineProperty } =
    builtins;
  const { setPrototypeOf, iteratorPrototype, arrayPrototype, sort, apply, toStringTag } = builtins;
  const newList = <T>(): T[] => setPrototypeOf([], null) as T[];
  let listOf: (headers: Headers) => Pair[];
  let isHeaders: (value: unknown) => value is object;
  let freeze: (headers: object) => void;

  const isToken = (text: string): boolean => {
    for (let i = 0; i < text.length; i++) {
      const code = codeAt(text, i);
      const letter = (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || (code >= 48 && code <= 57);
      // Of what is left, these are no tokens: controls, space, DEL and beyond, and "(),/:;<=>?@[\]{}
      if (letter) continue;
      if (code <= 32 || code >= 127 || code === 34 || code === 40 || code === 41 || code === 44 || code === 47)
        return false;
      if ((code >= 58 && code <= 64) || (code >= 91 && code <= 93) || code === 123 || code === 125) return false;
    }
    return text.length > 0;
  };
  const nameOf = (name: unknown): string => {
    const text = `${name}`;
    if (!isToken(text)) throw new TypeError(`${quote(slice(text, 0, 100))} is no valid name of a header.`);
    return lowerCase(text);
  };
  const isSpace = (code: number): boolean => code === 32 || code === 9 || code === 10 || code === 13;
  const valueOf = (value: unknown): string => {
    const text = `${value}`;
    let start = 0;
    let end = text.length;
    while (start < end && isSpace(codeAt(text, start))) start++;
    while (end > start && isSpace(codeAt(text, end - 1))) end--;
    for (let i = start; i < end; i++) {
      const code = codeAt(text, i);
      if (code === 0 || code === 10 || code === 13 || code > 255)
        throw new TypeError('The value of a header must be Latin-1 text without NUL, CR and LF.');
    }
    return slice(text, start, end);
  };

  const add = (list: Pair[], name: string, value: string): void => {
    list[list.length] = [name, value];
  };
  const find = (list: Pair[], name: string): string | null => {
    let found: string | null = null;
    for (let i = 0; i < list.length; i++) {
      const pair = list[i] as Pair;
      if (pair[0] === name) found = found === null ? pair[1] : `${found}, ${pair[1]}`;
    }
    return found;
  };
  const without = (list: Pair[], name: string): Pair[] => {
    const rest = newList<Pair>();
    for (let i = 0; i < list.length; i++) {
      const pair = list[i] as Pair;
      if (pair[0] !== name) rest[rest.length] = pair;
    }
    return rest;
  };
  /** Sorted by name, values of one name combined, save those of `set-cookie`. */
  const combined = (list: Pair[]): Pair[] => {
    const names = newList<string>();
    for (let i = 0; i < list.length; i++) names[names.length] = (list[i] as Pair)[0];
    sort(names, (a, b) => (a < b ? -1 : a > b ? 1 : 0));
    const pairs = newList<Pair>();
    for (let i = 0; i < names.length; i++) {
      const name = names[i] as string;
      if (i > 0 && names[i - 1] === name) continue;
      if (name !== 'set-cookie') add(pairs, name, find(list, name) as string);
      else
        for (let k = 0; k < list.length; k++) if ((list[k] as Pair)[0] === name) pairs[pairs.length] = list[k] as Pair;
    }
    return pairs;
  };

  /** Arrays are walked by index: their iterator is the guest's to replace. */
  const walk = (values: unknown, visit: (value: unknown) => void): void => {
    if (isArray(values)) for (let i = 0; i < values.length; i++) visit(values[i]);
    else for (const value of values as Iterable<unknown>) visit(value);
  };
  const fillFromPairs = (list: Pair[], pairs: unknown): void =>
    walk(pairs, (entry) => {
      const parts = newList<unknown>();
      if (typeof entry === 'object' && entry !== null) walk(entry, (part) => (parts[parts.length] = part));
      if (parts.length !== 2) throw new TypeError('Each header must be a [name, value] pair.');
      add(list, nameOf(parts[0]), valueOf(parts[1]));
    });
  const fill = (list: Pair[], init: unknown): void => {
    if (init === undefined) return;
    if (typeof init !== 'object' || init === null) throw new TypeError('Headers are made of an object or of pairs.');
    if (isHeaders(init)) {
      const from = listOf(init as Headers);
      for (let i = 0; i < from.length; i++) list[list.length] = from[i] as Pair;
    } else if (isArray(init) || typeof (init as Record<symbol, unknown>)[iterator] === 'function') {
      fillFromPairs(list, init);
    } else {
      const keys = ownKeys(init);
      for (let i = 0; i < keys.length; i++) {
        const key = keys[i] as string;
        if (own(describe(init, key), 'enumerable') !== true) continue;
        add(list, nameOf(key), valueOf((init as Record<string, unknown>)[key]));
      }
    }
  };

  class HeadersIterator {
    #headers: Headers;
    #part: 0 | 1 | 2;
    #index = 0;

    /** @param part 0 for the names, 1 for the values, 2 for both */
    constructor(headers: Headers, part: 0 | 1 | 2) {
      this.#headers = headers;
      this.#part = part;
    }

    next(): { value: unknown; done: boolean } {
      const pairs = combined(listOf(this.#headers));
      if (this.#index >= pairs.length) return { value: undefined, done: true };
      const pair = pairs[this.#index++] as Pair;
      const value = this.#part === 2 ? [pair[0], pair[1]] : pair[this.#part];
      return { value, done: false };
    }
  }

  class Headers {
    #list: Pair[] = newList();
    #frozen = false;

    static {
      isHeaders = (value): value is object => typeof value === 'object' && value !== null && #list in value;
      listOf = (headers) => headers.#list;
      freeze = (headers) => {
        (headers as Headers).#frozen = true;
      };
    }

    constructor(init: unknown = undefined) {
      fill(this.#list, init);
    }

    #change(list: Pair[]): void {
      if (this.#frozen) throw new TypeError('These headers cannot be changed.');
      this.#list = list;
    }

    append(name: unknown, value: unknown): void {
      const key = nameOf(name);
      const text = valueOf(value);
      const list = without(this.#list, '');
      add(list, key, text);
      this.#change(list);
    }

    delete(name: unknown): void {
      this.#change(without(this.#list, nameOf(name)));
    }

    get(name: unknown): string | null {
      return find(this.#list, nameOf(name));
    }

    getSetCookie(): string[] {
      const found = newList<string>();
      for (let i = 0; i < this.#list.length; i++) {
        const pair = this.#list[i] as Pair;
        if (pair[0] === 'set-cookie') found[found.length] = pair[1];
      }
      return setPrototypeOf(found, arrayPrototype);
    }

    has(name: unknown): boolean {
      return find(this.#list, nameOf(name)) !== null;
    }

    set(name: unknown, value: unknown): void {
      const key = nameOf(name);
      const text = valueOf(value);
      const list = without(this.#list, key);
      add(list, key, text);
      this.#change(list);
    }

    forEach(callback: unknown, self: unknown = undefined): void {
      if (typeof callback !== 'function') throw new TypeError('forEach() takes a function.');
      const pairs = combined(this.#list);
      for (let i = 0; i < pairs.length; i++) {
        const pair = pairs[i] as Pair;
        apply(callback, self, [pair[1], pair[0], this]);
      }
    }

    keys(): HeadersIterator {
      void this.#list;
      return new HeadersIterator(this, 0);
    }

    values(): HeadersIterator {
      void this.#list;
      return new HeadersIterator(this, 1);
    }

    entries(): HeadersIterator {
      void this.#list;
      return new HeadersIterator(this, 2);
    }
  }

  const field = (value: unknown, writable: boolean): PropertyDescriptor =>
    ({ __proto__: null, value, writable, configurable: true }) as PropertyDescriptor;
  defineProperty(Headers.prototype, iterator, field(Headers.prototype.entries, true));
  defineProperty(Headers.prototype, toStringTag, field('Headers', false));
  defineProperty(HeadersIterator.prototype, toStringTag, field('Headers Iterator', false));
  builtins.deleteProperty(HeadersIterator.prototype, 'constructor');
  setPrototypeOf(HeadersIterator.prototype, iteratorPrototype);

  return {
    Headers,
    isToken,
    freeze,
    setDefault(headers, name, value) {
      const list = listOf(headers as Headers);
      if (find(list, name) === null) add(list, name, value);
    },
    json(headers) {
      const list = listOf(headers as Headers);
      let json = '[';
      for (let i = 0; i < list.length; i++) {
        const pair = list[i] as Pair;
        json += `${i === 0 ? '' : ','}[${quote(pair[0])},${quote(pair[1])}]`;
      }
      return `${json}]`;
    },
  };
}
