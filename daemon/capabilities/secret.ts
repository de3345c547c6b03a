import type { SecretStore } from '../secrets/secret-store.ts';
import { NamedValueCapability } from './named-value.ts';

/**
 * `secret(name)`: a secret that the policy lets code see. Most need not be seen: `fetch` and `encrypt` use them by
 * name.
 */
export class SecretCapability extends NamedValueCapability<'secret'> {
  override readonly name = 'secret';
  override readonly summary = 'Reads a secret that the policy lists by name.';
  override readonly signature =
    `/** The value is redacted wherever it would be printed, logged or returned. Fails with CAPABILITY_DENIED for any other name. */
declare function secret(name: string): Promise<string>;`;
  override readonly stub = 'async def secret(name: str) -> str: ...';
  readonly #secrets: Pick<SecretStore, 'secret'>;

  constructor(secrets: Pick<SecretStore, 'secret'>) {
    super();
    this.#secrets = secrets;
  }

  protected override lookUp(name: string): string | null {
    return this.#secrets.secret(name);
  }
}
