// What `import … from 'pyrepl3/capability'` loads: the source in a checkout, where Node strips its types, and dist/ in the
// published package, where it would not. The names are those of authoring.ts.
import { existsSync } from 'node:fs';

const source = new URL('authoring.ts', import.meta.url);
const built = new URL('../../dist/daemon/capabilities/authoring.js', import.meta.url);

export const { Capability, Fault } = await import(existsSync(source) ? source.href : built.href);
