import * as v from 'valibot';
import type { ConstraintsOf } from '../../policies/capabilities.ts';
import { Fault } from '../fault.ts';
import { type CallContext, Capability } from './capability.ts';
import type { AllowedCall } from './gate.ts';

const args = v.strictTuple(
  [v.pipe(v.string('the name must be a string'), v.maxLength(128, 'the name must have at most 128 characters'))],
  'there must be one name',
);

/** Reads a value of the administrator's by a name that the grant lists; the value is redacted from then on. */
export abstract class NamedValueCapability<K extends 'env' | 'secret'> extends Capability<K, [string]> {
  override readonly idempotent = true;
  override readonly readOnly = true;
  override readonly patient = false;
  override readonly args = args;

  /** The value; null where it cannot be had. */
  protected abstract lookUp(name: string): string | null;

  override refuse([name]: [string], { names }: ConstraintsOf<'env' | 'secret'>): string | null {
    return names.includes(name) ? null : `${this.name}(${JSON.stringify(name)}) is not granted to this session.`;
  }

  override async invoke({ args: [name] }: AllowedCall<K, [string]>, { redactor }: CallContext): Promise<string> {
    const value = this.lookUp(name);
    if (value === null) {
      throw new Fault('EFFECT_FAILED', `${this.name}(${JSON.stringify(name)}) has no value.`, { reason: 'not-found' });
    }
    redactor.add(name, value);
    return value;
  }
}
