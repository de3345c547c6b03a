/** What a package says that it needs, in the form of PEP 508, as far as it can be told here. Pure. */
import { satisfies, valid } from '@renovatebot/pep440';
import { packageName } from '../../policies/packages.ts';
import { PYTHON } from './wheel-name.ts';

/** Longer ones are nobody's. */
const LENGTH_MAX = 1000;

export interface Requirement {
  /** Normalized. */
  readonly name: string;
  /** As PEP 440 writes them: `>=1,<2`; empty for any version. */
  readonly versions: string;
}

/** As CPython in an isolate answers. What is not named here is not known, and compares with nothing. */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  os_name: 'posix',
  sys_platform: 'emscripten',
  platform_system: 'Emscripten',
  platform_machine: 'wasm32',
  platform_python_implementation: 'CPython',
  implementation_name: 'cpython',
  implementation_version: PYTHON.fullVersion,
  python_version: PYTHON.version,
  python_full_version: PYTHON.fullVersion,
  // Nobody asks for extras.
  extra: '',
};

const REQUIREMENT =
  /^(?<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(?<rest>@[^;]*|\(?[^;()]*\)?)\s*(?:;(?<marker>.*))?$/s;

/**
 * What is needed here; null for what is not, by its marker, or not without an extra. A marker that cannot be read counts as met:
 * what may be needed has to be there.
 *
 * @returns 'unclear' for what is no requirement
 */
export function readRequirement(text: string): Requirement | null | 'unclear' {
  const { name, rest = '', marker } = REQUIREMENT.exec(text.trim())?.groups ?? {};
  if (name === undefined || text.length > LENGTH_MAX) return 'unclear';
  if (marker !== undefined && !isMet(marker)) return null;
  const versions = rest.startsWith('@') ? '' : rest.replace(/[()]/g, '').trim();
  return { name: packageName(name), versions };
}

export function isSatisfied({ versions }: Requirement, version: string): boolean {
  return versions === '' || valid(version) === null || satisfies(version, versions, { prereleases: true });
}

function isMet(marker: string): boolean {
  const tokens = marker.match(/\(|\)|'[^']*'|"[^"]*"|[<>=!~]+|[\w.]+|\S/g) ?? [];
  const parser = new MarkerParser(tokens);
  const met = parser.either();
  return met === null || !parser.atEnd || met;
}

/** `null` is what cannot be told. */
type Truth = boolean | null;

class MarkerParser {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  get atEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  #take(token?: string): string | undefined {
    const next = this.#tokens[this.#at];
    if (next === undefined || (token !== undefined && next !== token)) return undefined;
    this.#at += 1;
    return next;
  }

  either(): Truth {
    let truth = this.#both();
    while (this.#take('or') !== undefined) {
      const other = this.#both();
      truth = truth === true || other === true ? true : truth === null || other === null ? null : false;
    }
    return truth;
  }

  #both(): Truth {
    let truth = this.#one();
    while (this.#take('and') !== undefined) {
      const other = this.#one();
      truth = truth === false || other === false ? false : truth === null || other === null ? null : true;
    }
    return truth;
  }

  #one(): Truth {
    if (this.#take('(') !== undefined) {
      const truth = this.either();
      return this.#take(')') === undefined ? null : truth;
    }
    const left = this.#take();
    const not = this.#take('not') !== undefined;
    const operator = this.#take();
    const right = this.#take();
    if (left === undefined || operator === undefined || right === undefined) return null;
    return compare(meaningOf(left), not ? `not ${operator}` : operator, meaningOf(right));
  }
}

/** undefined for what is not known. */
function meaningOf(token: string): string | undefined {
  return /^['"]/.test(token) ? token.slice(1, -1) : ENVIRONMENT[token];
}

function compare(left: string | undefined, operator: string, right: string | undefined): Truth {
  if (left === undefined || right === undefined) return null;
  if (operator === 'in') return right.includes(left);
  if (operator === 'not in') return !right.includes(left);
  if (valid(left) !== null && /^[\d.*]+$/.test(right)) return satisfies(left, `${operator}${right}`);
  if (operator === '==') return left === right;
  if (operator === '!=') return left !== right;
  return null;
}
