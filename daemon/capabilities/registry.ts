/** Every capability there is. A name of the policy that is missing here does not compile. */
import type { CapabilityName } from '../../policies/capabilities.ts';
import type { Capability, GrantedFeature } from './capability.ts';
import { InputCapability } from './input.ts';

function output<K extends CapabilityName>(name: K, summary: string, signature: string): GrantedFeature & { name: K } {
  return { kind: 'output', name, summary, signature, globals: [] };
}

function platform<K extends CapabilityName>(
  name: K,
  summary: string,
  signature: string,
  globals: readonly string[] = [],
): GrantedFeature & { name: K } {
  return { kind: 'platform', name, summary, signature, globals };
}

const REGISTRY = {
  print: output(
    'print',
    'Writes values to the standard output.',
    'declare function print(...values: unknown[]): void;',
  ),
  console: output(
    'console',
    'The console of the web platform; errors and warnings go to the standard error.',
    'declare const console: Console;',
  ),
  display: output(
    'display',
    'Shows a value, or a MIME bundle, to the client.',
    'declare function display(value: unknown): void;',
  ),
  log: output(
    'log',
    "Writes to the session's log.",
    "declare function log(level: 'debug' | 'info' | 'warn' | 'error', ...values: unknown[]): void; declare function log(...values: unknown[]): void;",
  ),
  time: platform('time', 'The clock: still between I/O, or live.', 'declare const Date: DateConstructor;'),
  random: platform('random', 'Random numbers: from the seed of the session, or live.', 'declare const crypto: Crypto;'),
  input: new InputCapability(),
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
  ),
} satisfies { readonly [K in CapabilityName]: { readonly name: K } & ({ readonly kind: 'effect' } | GrantedFeature) };

const BY_NAME: ReadonlyMap<string, Capability | GrantedFeature> = new Map(
  Object.entries(REGISTRY) as unknown as [string, Capability | GrantedFeature][],
);

export const CAPABILITIES: readonly (Capability | GrantedFeature)[] = [...BY_NAME.values()];

export function capabilityNamed(name: string): Capability | GrantedFeature | undefined {
  return BY_NAME.get(name);
}

const BY_GLOBAL: ReadonlyMap<string, string> = new Map(
  CAPABILITIES.flatMap(({ name, ...capability }) => [
    [name, name] as const,
    ...('globals' in capability ? capability.globals.map((global) => [global, name] as const) : []),
  ]),
);

/** The capability that a global name stands for, whether or not it is granted; undefined for any other name. */
export function capabilityOfGlobal(name: string): string | undefined {
  return BY_GLOBAL.get(name);
}
