// What `import … from 'pyrepl3/client'` loads: the source in a checkout, where Node strips its types, and dist/ in the
// published package, where it would not. package.json cannot tell the two apart; a test keeps the names below equal to
// those of index.ts.
import { existsSync } from 'node:fs';

const source = new URL('index.ts', import.meta.url);
const built = new URL('../dist/client/index.js', import.meta.url);

export const { connect, GuestError, PyreplError } = await import(existsSync(source) ? source.href : built.href);
