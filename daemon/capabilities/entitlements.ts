/**
 * What one session may use now: what it was given when it was created, narrowed by the policy in force.
 *
 * I1: an edit of the policy takes away at the next call, and gives nothing to a session that exists already, unless the
 *     administrator said so (`widen`).
 */
import type { Catalogue } from '../../policies/capabilities.ts';
import { levelOf } from '../../policies/evaluate.ts';
import { meetGrants } from '../../policies/grant.ts';
import type { AuditSync, Grant, LevelName, Policy } from '../../policies/policy.ts';

export class Entitlements {
  readonly level: LevelName;
  readonly #policy: () => Policy;
  readonly #catalogue: Catalogue;
  #given: ReadonlyMap<string, Grant>;
  #of: Policy;
  #effective: ReadonlyMap<string, Grant>;

  /** @param given the grants of the level in force, or those of them that the session's client asked for */
  constructor(level: LevelName, given: ReadonlyMap<string, Grant>, policy: () => Policy, catalogue: Catalogue) {
    this.level = level;
    this.#policy = policy;
    this.#catalogue = catalogue;
    this.#given = given;
    this.#of = policy();
    this.#effective = given;
  }

  grantOf(capability: string): Grant | undefined {
    return this.grants.get(capability);
  }

  get grants(): ReadonlyMap<string, Grant> {
    const policy = this.#policy();
    if (policy !== this.#of) {
      this.#of = policy;
      this.#effective = this.#narrowedBy(policy);
    }
    return this.#effective;
  }

  get auditSync(): AuditSync {
    return this.#policy().levels.get(this.level)?.auditSync ?? 'always';
  }

  /** The administrator gives sessions that exist already what the level grants now. */
  widen(asked: readonly string[] | undefined): void {
    const { grants } = levelOf(this.#policy(), this.level);
    this.#given = asked === undefined ? grants : new Map([...grants].filter(([name]) => asked.includes(name)));
    this.#of = this.#policy();
    this.#effective = this.#given;
  }

  #narrowedBy(policy: Policy): ReadonlyMap<string, Grant> {
    const current = policy.levels.get(this.level)?.grants;
    const effective = new Map<string, Grant>();
    for (const [name, given] of this.#given) {
      const grant = current?.get(name);
      if (grant === undefined) continue;
      effective.set(name, grant === given ? given : meetGrants(this.#catalogue.get(name) ?? {}, given, grant));
    }
    return effective;
  }
}
