/** Levels that reach servers of a test's own on loopback, and how an attempt of their code is told to have ended. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestSession } from '../e2e/_file-daemon.ts';
import type { PolicyFolder } from '../harness/policy-folder.ts';

/** The secret that is granted to `listed`, and that `trusting` sends as a credential. */
export const TOKEN = 'tok-9f8e7d6c5b4a3210';

const LOOPBACK = 'addresses: ["127.0.0.1", "::1"]';
const READING = 'methods: [GET, HEAD]';
const ANY_METHOD = 'methods: [GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS]';

/** Levels of the tests' own, each with what it grants. */
const LEVELS: Readonly<Record<string, readonly string[]>> = {
  // Every host by name, and no private address.
  anywhere: [
    `fetch: { hosts: ["*:*"], ${ANY_METHOD}, timeMsMax: 5000 }`,
    'dns: { hosts: ["*"] }',
    'websocket: { hosts: ["*:*"] }',
  ],
  listed: [
    `fetch: { hosts: ["localhost:*", "example.com", "*.example.org"], ${ANY_METHOD}, ${LOOPBACK} }`,
    `websocket: { hosts: ["localhost:*"], ${LOOPBACK} }`,
    'dns: { hosts: ["localhost", "*.example.org"] }',
    'secret: { names: [token] }',
  ],
  reading: [`fetch: { hosts: ["localhost:*"], ${READING}, ${LOOPBACK} }`],
  narrow: [`fetch: { hosts: ["localhost:81", "localhost:*/public/*"], ${READING}, ${LOOPBACK} }`],
  small: [`fetch: { hosts: ["localhost:*"], ${READING}, ${LOOPBACK}, responseBytesMax: 100000 }`],
  brief: [`fetch: { hosts: ["localhost:*"], ${READING}, ${LOOPBACK}, timeMsMax: 1000 }`],
  trusting: [`fetch: { hosts: ["localhost:*"], ${READING}, ${LOOPBACK}, credentials: [api] }`],
};

export function addNetworkLevels(policy: PolicyFolder): void {
  writeFileSync(join(policy.path, 'token.txt'), `${TOKEN}\n`, { mode: 0o600 });
  const secret = `secrets:\n  token: { file: ${join(policy.path, 'token.txt')} }\n`;
  const credential =
    'credentials:\n  api: { host: "localhost:*", header: authorization, secret: token, prefix: "Bearer " }\n';
  policy.edit('policy', /$/, `\n${secret}${credential}`);
  Object.entries(LEVELS).forEach(([name, grants], at) => {
    const head = `level: ${name}\nrank: ${60 + at}\nextends: restricted\ndescription: Of a test.\ngrants:\n`;
    policy.write(`${name}.yaml`, head + grants.map((grant) => `  ${grant}\n`).join(''));
  });
}

/** The highest of them: whoever may ask for it may ask for all. */
export const HIGHEST = Object.keys(LEVELS).at(-1) ?? '';

/** How an attempt of guest code ended. */
export interface Outcome {
  readonly code: string;
  readonly reason?: string | null;
  readonly message: string;
}

/** Runs an expression of guest code; a response comes out as its status and its text. */
export async function attempt(session: TestSession, expression: string): Promise<Outcome> {
  const value = await session.value(`await (async () => {
    try {
      const got = await (${expression});
      if (typeof Response === "function" && got instanceof Response) return { code: String(got.status), message: await got.text() };
      return { code: "done", message: String(got) };
    } catch (e) {
      return { code: e.code ?? e.name, reason: e.details?.reason ?? null, message: e.message };
    }
  })()`);
  if (value.kind !== 'json') throw new Error(`not JSON: ${value.text}`);
  return value.json as unknown as Outcome;
}

export const fetching = (session: TestSession, url: string, init = '{}'): Promise<Outcome> =>
  attempt(session, `fetch(${JSON.stringify(url)}, ${init})`);
