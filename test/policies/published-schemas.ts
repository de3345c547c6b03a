/** The JSON Schemas in docs/schemas, as the code generates them. `node test/policies/published-schemas.ts && npm run format` writes them. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { levelFileSchema, policyFileSchema } from '../../policies/json-schema.ts';

export const PUBLISHED: ReadonlyMap<URL, string> = new Map([
  [new URL('../../docs/schemas/level.schema.json', import.meta.url), JSON.stringify(levelFileSchema())],
  [new URL('../../docs/schemas/policy.schema.json', import.meta.url), JSON.stringify(policyFileSchema())],
]);

if (import.meta.main) {
  for (const [url, text] of PUBLISHED) {
    mkdirSync(dirname(fileURLToPath(url)), { recursive: true });
    writeFileSync(url, text);
  }
}
