import type { SecretStore } from '../secrets/secret-store.ts';
import { NamedValueCapability } from './named-value.ts';

/** `env(name)`: a variable of the policy; the environment itself is out of reach. */
export class EnvCapability extends NamedValueCapability<'env'> {
  override readonly name = 'env';
  override readonly summary = 'Reads a variable that the policy lists by name.';
  override readonly signature =
    `/** The value is redacted wherever it would be printed, logged or returned. Fails with CAPABILITY_DENIED for any other name. */
declare function env(name: string): Promise<string>;`;
  override readonly stub = 'async def env(name: str) -> str: ...';
  readonly #secrets: Pick<SecretStore, 'variable'>;

  constructor(secrets: Pick<SecretStore, 'variable'>) {
    super();
    this.#secrets = secrets;
  }

  protected override lookUp(name: string): string | null {
    return this.#secrets.variable(name);
  }
}
