/** Every capability there is: what the isolate has of its own, the effects, and those that an administrator brought. */
import * as v from 'valibot';
import { BUILT_IN, type CapabilityName, type Catalogue, type ConstraintFields } from '../../policies/capabilities.ts';
import type { Capability, GrantedFeature } from './capability.ts';

function output<K extends CapabilityName>(
  name: K,
  summary: string,
  signature: string,
  stub: string,
): GrantedFeature & { name: K } {
  return { kind: 'output', name, summary, signature, stub, globals: [name] };
}

function platform<K extends CapabilityName>(
  name: K,
  summary: string,
  signature: string,
  globals: readonly string[],
  stub = '',
): GrantedFeature & { name: K } {
  return { kind: 'platform', name, summary, signature, stub, globals };
}

/** What needs no call to the daemon. */
const FEATURES = {
  print: output(
    'print',
    'Writes values to the standard output.',
    'declare function print(...values: unknown[]): void;',
    'def print(*values: object, sep: str = " ", end: str = "\\n") -> None: ...',
  ),
  console: output(
    'console',
    'The console of the web platform; errors and warnings go to the standard error.',
    'declare const console: Console;',
    '',
  ),
  display: output(
    'display',
    'Shows a value, or a MIME bundle, to the client.',
    'declare function display(value: unknown): void;',
    'def display(*values: object) -> None: ...',
  ),
  log: output(
    'log',
    "Writes to the session's log.",
    "declare function log(level: 'debug' | 'info' | 'warn' | 'error', ...values: unknown[]): void; declare function log(...values: unknown[]): void;",
    'def log(*values: object, level: str = "info") -> None: ...',
  ),
  time: platform('time', 'The clock: still between I/O, or live.', 'declare const Date: DateConstructor;', []),
  random: platform(
    'random',
    'Random numbers: from the seed of the session, or live.',
    'declare const crypto: Crypto;',
    [],
  ),
  provided: platform('provided', "Functions that the session's own client provides.", '', []),
  web_assembly: platform('web_assembly', 'WebAssembly.', 'declare namespace WebAssembly {}', ['WebAssembly']),
  shared_memory: platform(
    'shared_memory',
    'SharedArrayBuffer and Atomics.',
    'declare const SharedArrayBuffer: SharedArrayBufferConstructor;',
    ['SharedArrayBuffer', 'Atomics'],
  ),
  resizable_buffers: platform(
    'resizable_buffers',
    'Buffers that can be resized.',
    'interface ArrayBuffer { resize(byteLength: number): void; }',
    [],
  ),
} as const;

/** What the daemon does on behalf of guest code: a name of the policy without an effect does not compile. */
export type Effects = {
  readonly [K in Exclude<CapabilityName, keyof typeof FEATURES>]: { readonly kind: 'effect'; readonly name: K };
};

/** A capability that an administrator brought, and the fields that its grants take. */
export interface CustomEffect {
  readonly capability: Capability;
  readonly fields: ConstraintFields;
}

export class CapabilityRegistry {
  /** What the policy may grant. */
  readonly catalogue: Catalogue;
  readonly all: readonly (Capability | GrantedFeature)[];
  readonly #byName: ReadonlyMap<string, Capability | GrantedFeature>;
  readonly #byGlobal: ReadonlyMap<string, string>;

  constructor(effects: Effects, custom: readonly CustomEffect[] = []) {
    // Safe: the gate holds a call's arguments against the capability's own schema before it hands them over.
    const known = { ...FEATURES, ...effects } as unknown as Record<CapabilityName, Capability | GrantedFeature>;
    const inOrder = [...BUILT_IN.keys()].map((name) => known[name as CapabilityName]);
    this.all = [...inOrder, ...custom.map(({ capability }) => capability)];
    this.#byName = new Map(this.all.map((capability) => [capability.name, capability]));
    this.#byGlobal = new Map(
      this.all.flatMap(({ name, globals }) => [name, ...globals].map((global) => [global, name])),
    );
    this.catalogue = new Map([
      ...BUILT_IN,
      ...custom.map(({ capability, fields }) => [capability.name, fields] as const),
    ]);
  }

  named(name: string): Capability | GrantedFeature | undefined {
    return this.#byName.get(name);
  }

  effectNamed(name: string): Capability | undefined {
    const capability = this.#byName.get(name);
    return capability?.kind === 'effect' ? capability : undefined;
  }

  /** The capability that a global name stands for, whether or not it is granted; undefined for any other name. */
  ofGlobal(name: string): string | undefined {
    return this.#byGlobal.get(name);
  }

  /** Why a capability, or its constraints, refuse arguments that were written down as JSON data; null where they do not. */
  refusal(name: string, args: unknown, constraints: Readonly<Record<string, unknown>>): string | null {
    const capability = this.effectNamed(name);
    if (capability === undefined) return null;
    const parsed = v.safeParse(capability.args, args);
    if (!parsed.success) return `the arguments do not fit ${name}(): ${parsed.issues[0].message}`;
    return capability.refuse(parsed.output, constraints);
  }
}
