import type { GuestEncoding } from './encoding.ts';
import type { GuestKernel } from './kernel.ts';

/**
 * Installs `URL` and `URLSearchParams` (URL Standard). Parsing and the setters of URL are computed by the host; the parameters and
 * their form encoding live here. A URL whose inputs the host refuses for their length is invalid to the constructor, and a
 * RangeError to a setter.
 */
export function installUrl(kernel: GuestKernel, encoding: GuestEncoding): void {
  interface Components {
    readonly href: string;
    readonly origin: string;
    readonly protocol: string;
    readonly username: string;
    readonly password: string;
    readonly host: string;
    readonly hostname: string;
    readonly port: string;
    readonly pathname: string;
    readonly search: string;
    readonly hash: string;
  }
  interface Pair {
    readonly name: string;
    readonly value: string;
  }
  const { uncurryThis, compute } = kernel;
  const NativeTypeError = TypeError;
  const NativeRangeError = RangeError;
  const NativeMap = Map;
  const parseJson = JSON.parse as (text: string) => Components;
  const { apply, ownKeys } = Reflect;
  const { isArray } = Array;
  const { fromCharCode } = String;
  const { defineProperty, getOwnPropertyDescriptor, getPrototypeOf, setPrototypeOf } = Object;
  const iteratorSymbol: typeof Symbol.iterator = Symbol.iterator;
  const iteratorPrototype = getPrototypeOf(getPrototypeOf([][iteratorSymbol]())) as object;
  const codeAt = uncurryThis(String.prototype.charCodeAt);
  const indexOf = uncurryThis(String.prototype.indexOf) as (text: string, part: string, from: number) => number;
  const slice = uncurryThis(String.prototype.slice);
  const toWellFormed = uncurryThis(String.prototype.toWellFormed);
  const sortList = uncurryThis(Array.prototype.sort) as (
    list: Pair[],
    compare: (a: Pair, b: Pair) => number,
  ) => unknown;
  const mapSet = uncurryThis(NativeMap.prototype.set) as (
    map: Map<string, string>,
    key: string,
    value: string,
  ) => unknown;
  const mapEach = uncurryThis(NativeMap.prototype.forEach) as (
    map: Map<string, string>,
    callback: (value: string, key: string) => void,
  ) => void;
  // Lists have no prototype: an assignment past their end cannot run into a guest's setter.
  const newList = <T>(): T[] => setPrototypeOf([], null) as T[];
  const usv = (value: unknown): string => toWellFormed(`${value as string}`);

  // -1 past the end. The length of a typed array is a getter, and the guest's to replace; its elements are not.
  const byteAt = (bytes: Uint8Array, position: number): number => bytes[position] ?? -1;

  const hexValue = (code: number): number => {
    if (code >= 48 && code <= 57) return code - 48;
    const letter = code | 32;
    return letter >= 97 && letter <= 102 ? letter - 87 : -1;
  };

  /** Percent-decodes part of a form-encoded string. */
  const decodeForm = (text: string): string => {
    if (indexOf(text, '%', 0) < 0 && indexOf(text, '+', 0) < 0) return text;
    const bytes = encoding.encode(text);
    let length = 0;
    for (let position = 0; byteAt(bytes, position) >= 0; position += 1) {
      const byte = byteAt(bytes, position);
      const high = byte === 37 ? hexValue(byteAt(bytes, position + 1)) : -1;
      const low = high < 0 ? -1 : hexValue(byteAt(bytes, position + 2));
      if (low >= 0) position += 2;
      bytes[length] = low >= 0 ? high * 16 + low : byte === 43 ? 32 : byte;
      length += 1;
    }
    return encoding.decode(bytes, length);
  };
  const parseForm = (text: string): Pair[] => {
    const list = newList<Pair>();
    let start = 0;
    while (start <= text.length) {
      const found = indexOf(text, '&', start);
      const end = found < 0 ? text.length : found;
      if (end > start) {
        const equals = indexOf(text, '=', start);
        const split = equals < 0 || equals > end ? end : equals;
        list[list.length] = {
          name: decodeForm(slice(text, start, split)),
          value: decodeForm(slice(text, split + 1, split < end ? end : split + 1)),
        };
      }
      start = end + 1;
    }
    return list;
  };

  // By byte: its form-encoded text.
  const encoded = newList<string>();
  for (let byte = 0; byte < 256; byte += 1) {
    const kept =
      (byte | 32) >= 97 && (byte | 32) <= 122
        ? byte < 128
        : (byte >= 48 && byte <= 57) || '*-._'.includes(fromCharCode(byte));
    const digits = '0123456789ABCDEF';
    encoded[byte] = kept ? fromCharCode(byte) : byte === 32 ? '+' : `%${digits[byte >> 4]}${digits[byte & 15]}`;
  }

  const encodeForm = (text: string): string => {
    let out = '';
    for (let position = 0; position < text.length; position += 1) {
      const code = codeAt(text, position);
      if (code < 128) out += encoded[code];
      else {
        const pair = code >= 0xd800 && code <= 0xdbff;
        const bytes = encoding.encode(slice(text, position, position + (pair ? 2 : 1)));
        for (let index = 0; byteAt(bytes, index) >= 0; index += 1) out += encoded[byteAt(bytes, index)];
        if (pair) position += 1;
      }
    }
    return out;
  };

  const serialise = (list: readonly Pair[]): string => {
    let out = '';
    for (let index = 0; index < list.length; index += 1) {
      const { name, value } = list[index] as Pair;
      out += `${index > 0 ? '&' : ''}${encodeForm(name)}=${encodeForm(value)}`;
    }
    return out;
  };

  /** Arrays are walked by index: their iterator is the guest's to replace. Other iterables by their own protocol. */
  const walk = (values: unknown, visit: (value: unknown) => void): void => {
    if (isArray(values)) for (let index = 0; index < values.length; index += 1) visit(values[index]);
    else for (const value of values as Iterable<unknown>) visit(value);
  };

  const fromSequence = (init: unknown): Pair[] => {
    const list = newList<Pair>();
    walk(init, (entry) => {
      let name = '';
      let value = '';
      let count = 0;
      const iterable = typeof entry === 'object' && entry !== null && (isArray(entry) || iteratorSymbol in entry);
      if (iterable) {
        walk(entry, (part) => {
          if (count === 0) name = usv(part);
          if (count === 1) value = usv(part);
          count += 1;
        });
      }
      if (count !== 2) throw new NativeTypeError('Each query pair must be an iterable [name, value] tuple');
      list[list.length] = { name, value };
    });
    return list;
  };

  const fromRecord = (init: object): Pair[] => {
    const fields = new NativeMap<string, string>();
    const keys = ownKeys(init);
    for (let index = 0; index < keys.length; index += 1) {
      const key = keys[index] as string;
      if (getOwnPropertyDescriptor(init, key)?.enumerable) {
        const name = usv(key);
        mapSet(fields, name, usv((init as Record<string, unknown>)[key]));
      }
    }
    const list = newList<Pair>();
    mapEach(fields, (value, name) => {
      list[list.length] = { name, value };
    });
    return list;
  };

  let isParams: (value: object) => value is URLSearchParams;
  let listOf: (params: URLSearchParams) => Pair[];
  /** Makes `params` the view of a URL: `changed` gets every new serialisation. */
  let link: (params: URLSearchParams, changed: (query: string) => void) => void;
  let replace: (params: URLSearchParams, list: Pair[]) => void;

  class ParamsIterator {
    #params: URLSearchParams;
    #kind: 'names' | 'values' | 'entries';
    #index = 0;

    constructor(params: URLSearchParams, kind: 'names' | 'values' | 'entries') {
      this.#params = params;
      this.#kind = kind;
    }

    next(): { value: unknown; done: boolean } {
      const list = listOf(this.#params);
      if (this.#index >= list.length) return { value: undefined, done: true };
      const { name, value } = list[this.#index] as Pair;
      this.#index += 1;
      return { value: this.#kind === 'names' ? name : this.#kind === 'values' ? value : [name, value], done: false };
    }
  }

  class URLSearchParams {
    #list: Pair[];
    #changed: ((query: string) => void) | undefined;

    static {
      isParams = (value): value is URLSearchParams => #list in value;
      listOf = (params) => params.#list;
      link = (params, changed) => {
        params.#changed = changed;
      };
      replace = (params, list) => {
        params.#list = list;
      };
    }

    constructor(init: unknown = '') {
      if ((typeof init !== 'object' && typeof init !== 'function') || init === null) {
        const text = usv(init);
        this.#list = parseForm(text[0] === '?' ? slice(text, 1) : text);
      } else if (isParams(init)) this.#list = this.#without(init.#list, () => false);
      else if (isArray(init)) this.#list = fromSequence(init);
      else {
        const method = (init as { [Symbol.iterator]?: unknown })[iteratorSymbol];
        if (method !== undefined && method !== null && typeof method !== 'function') {
          throw new NativeTypeError('Query pairs must be iterable');
        }
        this.#list = typeof method === 'function' ? fromSequence(init) : fromRecord(init);
      }
    }

    #without(list: Pair[], drop: (pair: Pair) => boolean): Pair[] {
      const rest = newList<Pair>();
      for (let index = 0; index < list.length; index += 1) {
        const pair = list[index] as Pair;
        if (!drop(pair)) rest[rest.length] = pair;
      }
      return rest;
    }

    /** The URL goes first: where the host refuses the new query, nothing has changed. */
    #update(list: Pair[]): void {
      this.#changed?.(serialise(list));
      this.#list = list;
    }

    get size(): number {
      return this.#list.length;
    }

    append(name: string, value: string): void {
      const list = this.#changed === undefined ? this.#list : this.#without(this.#list, () => false);
      list[list.length] = { name: usv(name), value: usv(value) };
      this.#update(list);
    }

    delete(name: string, value: unknown = undefined): void {
      const key = usv(name);
      const only = value === undefined ? undefined : usv(value);
      this.#update(
        this.#without(this.#list, (pair) => pair.name === key && (only === undefined || pair.value === only)),
      );
    }

    get(name: string): string | null {
      const key = usv(name);
      const list = this.#list;
      for (let index = 0; index < list.length; index += 1) {
        const pair = list[index] as Pair;
        if (pair.name === key) return pair.value;
      }
      return null;
    }

    getAll(name: string): string[] {
      const key = usv(name);
      const found = newList<string>();
      const list = this.#list;
      for (let index = 0; index < list.length; index += 1) {
        const pair = list[index] as Pair;
        if (pair.name === key) found[found.length] = pair.value;
      }
      return setPrototypeOf(found, arrayPrototype) as string[];
    }

    has(name: string, value: unknown = undefined): boolean {
      const key = usv(name);
      const only = value === undefined ? undefined : usv(value);
      const list = this.#list;
      for (let index = 0; index < list.length; index += 1) {
        const pair = list[index] as Pair;
        if (pair.name === key && (only === undefined || pair.value === only)) return true;
      }
      return false;
    }

    set(name: string, value: string): void {
      const key = usv(name);
      const pair = { name: key, value: usv(value) };
      const next = newList<Pair>();
      let placed = false;
      const list = this.#list;
      for (let index = 0; index < list.length; index += 1) {
        const old = list[index] as Pair;
        if (old.name !== key) next[next.length] = old;
        else if (!placed) {
          next[next.length] = pair;
          placed = true;
        }
      }
      if (!placed) next[next.length] = pair;
      this.#update(next);
    }

    sort(): void {
      const list = this.#without(this.#list, () => false);
      sortList(list, (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
      this.#update(list);
    }

    forEach(callback: (value: string, name: string, params: URLSearchParams) => void, self: unknown = undefined): void {
      if (typeof callback !== 'function') throw new NativeTypeError('The callback must be a function');
      for (let index = 0; index < this.#list.length; index += 1) {
        const { name, value } = this.#list[index] as Pair;
        apply(callback, self, [value, name, this]);
      }
    }

    entries(): ParamsIterator {
      void this.#list;
      return new ParamsIterator(this, 'entries');
    }

    keys(): ParamsIterator {
      void this.#list;
      return new ParamsIterator(this, 'names');
    }

    values(): ParamsIterator {
      void this.#list;
      return new ParamsIterator(this, 'values');
    }

    toString(): string {
      return serialise(this.#list);
    }
  }
  const arrayPrototype = Array.prototype;

  const parse = (input: unknown, base: unknown): Components | null => {
    const text = usv(input);
    const from = base === undefined ? '' : usv(base);
    // To the host an empty base is none; to the standard it is a base that does not parse.
    if (base !== undefined && from === '') return null;
    const answer = compute('url.parse', text, from);
    return answer === null ? null : parseJson(answer);
  };

  const invalid = (input: string): Error => {
    const error = new NativeTypeError('Invalid URL');
    const field = (value: string): PropertyDescriptor =>
      ({ __proto__: null, value, writable: true, enumerable: true, configurable: true }) as PropertyDescriptor;
    defineProperty(error, 'code', field('ERR_INVALID_URL'));
    defineProperty(error, 'input', field(input));
    return error;
  };

  class URL {
    #parts: Components;
    #params: URLSearchParams | undefined;

    constructor(input: unknown, base: unknown = undefined) {
      const parts = parse(input, base);
      if (parts === null) throw invalid(usv(input));
      this.#parts = parts;
    }

    static canParse(input: unknown, base: unknown = undefined): boolean {
      return parse(input, base) !== null;
    }

    static parse(input: unknown, base: unknown = undefined): URL | null {
      const text = usv(input);
      const from = base === undefined ? undefined : usv(base);
      try {
        return new URL(text, from);
      } catch {
        return null;
      }
    }

    #set(component: string, value: string): void {
      const answer = compute('url.set', this.#parts.href, component, value);
      if (answer === null)
        throw new NativeRangeError('The URL would be longer than the 65,536 characters that are allowed');
      this.#parts = parseJson(answer);
    }

    #refresh(): void {
      const { search } = this.#parts;
      if (this.#params !== undefined) replace(this.#params, parseForm(slice(search, 1)));
    }

    get href(): string {
      return this.#parts.href;
    }

    set href(value: unknown) {
      const parts = parse(value, undefined);
      if (parts === null) throw invalid(usv(value));
      this.#parts = parts;
      this.#refresh();
    }

    get origin(): string {
      return this.#parts.origin;
    }

    get protocol(): string {
      return this.#parts.protocol;
    }

    set protocol(value: unknown) {
      this.#set('protocol', usv(value));
    }

    get username(): string {
      return this.#parts.username;
    }

    set username(value: unknown) {
      this.#set('username', usv(value));
    }

    get password(): string {
      return this.#parts.password;
    }

    set password(value: unknown) {
      this.#set('password', usv(value));
    }

    get host(): string {
      return this.#parts.host;
    }

    set host(value: unknown) {
      this.#set('host', usv(value));
    }

    get hostname(): string {
      return this.#parts.hostname;
    }

    set hostname(value: unknown) {
      this.#set('hostname', usv(value));
    }

    get port(): string {
      return this.#parts.port;
    }

    set port(value: unknown) {
      this.#set('port', usv(value));
    }

    get pathname(): string {
      return this.#parts.pathname;
    }

    set pathname(value: unknown) {
      this.#set('pathname', usv(value));
    }

    get search(): string {
      return this.#parts.search;
    }

    set search(value: unknown) {
      const text = usv(value);
      this.#set('search', text);
      if (this.#params !== undefined) {
        // From the text that was set and not from the encoded query, as the standard has it.
        replace(this.#params, parseForm(text[0] === '?' ? slice(text, 1) : text));
      }
    }

    get searchParams(): URLSearchParams {
      if (this.#params === undefined) {
        this.#params = new URLSearchParams(this.#parts.search);
        link(this.#params, (query) => this.#set('search', query));
      }
      return this.#params;
    }

    get hash(): string {
      return this.#parts.hash;
    }

    set hash(value: unknown) {
      this.#set('hash', usv(value));
    }

    toString(): string {
      return this.#parts.href;
    }

    toJSON(): string {
      return this.#parts.href;
    }
  }

  const tag = (target: object, value: string): void => {
    defineProperty(target, Symbol.toStringTag, { value, configurable: true });
  };
  const { entries } = URLSearchParams.prototype;
  defineProperty(URLSearchParams.prototype, iteratorSymbol, { value: entries, writable: true, configurable: true });
  tag(URLSearchParams.prototype, 'URLSearchParams');
  tag(URL.prototype, 'URL');
  tag(ParamsIterator.prototype, 'URLSearchParams Iterator');
  Reflect.deleteProperty(ParamsIterator.prototype, 'constructor');
  setPrototypeOf(ParamsIterator.prototype, iteratorPrototype);
  kernel.define('URL', URL);
  kernel.define('URLSearchParams', URLSearchParams);
}
