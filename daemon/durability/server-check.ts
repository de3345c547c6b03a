/** Whether a Resonate server is there and of a release that our SDK fits, told before anything is entrusted to it. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { Fault } from '../fault.ts';
import { addressOf } from './remote-network.ts';
import { safeId } from './safe-id.ts';
import { PROTOCOL_VERSION, SDK_VERSION } from './sdk.ts';

const CHECK_MS = 10_000;
/** The first release of the HTTP server whose ids separate with ":". */
const SERVER_RELEASE_MIN = '0.10.0';
/** Releases of the schema of Resonate on PostgreSQL that were tried. */
const SCHEMA_VERSIONS = /^0\.1\.\d+$/;
const OURS = `@resonatehq/sdk ${SDK_VERSION} (protocol ${PROTOCOL_VERSION}, ids separated by ":")`;

const GRANTS =
  'A role in resonate_worker also needs: ALTER FUNCTION resonate.process_timeouts() SECURITY DEFINER; ' +
  'GRANT EXECUTE ON FUNCTION resonate.process_timeouts() TO resonate_worker';

/** Fails with UNAVAILABLE, naming the server and both releases as far as they can be known. */
export async function checkServer(url: URL, group: string, token: string | null): Promise<void> {
  if (url.protocol.startsWith('http')) await checkHttp(url, group, token);
  else await checkPostgres(url);
}

/** Servers do not say what they are, so one is asked for a promise as only those that fit make it; its time is long over. */
async function checkHttp(url: URL, group: string, token: string | null): Promise<void> {
  const root = safeId(group, 'probe', 'ids');
  const tags = { 'resonate:origin': root, 'resonate:branch': root, 'resonate:parent': root };
  const head = { corrId: randomUUID(), version: PROTOCOL_VERSION, ...(token === null ? {} : { auth: token }) };
  const data = { id: `${root}:1`, timeoutAt: 1, param: { headers: {}, data: '' }, tags };
  let response: Response;
  let text: string;
  try {
    response = await fetch(addressOf(url), {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
      body: JSON.stringify({ kind: 'promise.create', head, data }),
      signal: AbortSignal.timeout(CHECK_MS),
    });
    text = await response.text();
  } catch (error) {
    throw unreachable(url, error);
  }
  const answer = parsed(text);
  const promise = (answer?.data as { readonly promise?: { readonly id?: unknown } } | null | undefined)?.promise;
  if (response.status === 200 && promise?.id === data.id) return;
  const said = typeof answer?.data === 'string' ? answer.data : text;
  if (response.status === 401 || response.status === 403)
    throw refused(url, `refuses us (HTTP ${response.status}: ${said.slice(0, 200)})`);
  if (response.status === 400 && answer !== null)
    throw mismatch(url, `is a release before ${SERVER_RELEASE_MIN}: it answered "${said.slice(0, 200)}"`);
  throw mismatch(
    url,
    `is none of those, or a release before ${SERVER_RELEASE_MIN}: it answered HTTP ${response.status}`,
  );
}

async function checkPostgres(url: URL): Promise<void> {
  const client = new pg.Client({
    connectionString: url.href,
    connectionTimeoutMillis: CHECK_MS,
    query_timeout: CHECK_MS,
  });
  client.on('error', () => undefined);
  let version: unknown;
  try {
    await client.connect();
    const { rows } = await client.query('SELECT resonate.get_schema_version() AS version');
    version = rows[0]?.version;
    // Every daemon does, several times a second. The role that the schema makes for workers may not, and would never hear a message.
    await client.query('SELECT resonate.process_timeouts()');
  } catch (error) {
    const { code } = error as { readonly code?: string };
    if (code === '42501') throw refused(url, `does not let us in (${(error as Error).message}). ${GRANTS}`, error);
    // No such schema, or no such function in it.
    if (code === '3F000' || code === '42883')
      throw mismatch(
        url,
        'has no schema "resonate" with a version: apply resonate.sql of resonatehq/resonate-pg to it',
      );
    throw unreachable(url, error);
  } finally {
    await client.end().catch(() => undefined);
  }
  if (!SCHEMA_VERSIONS.test(String(version)))
    throw mismatch(url, `has the schema "resonate" in version ${String(version)}; 0.1 is needed`);
}

interface ServerAnswer {
  readonly data?: unknown;
}

function parsed(text: string): ServerAnswer | null {
  try {
    const answer: unknown = JSON.parse(text);
    return typeof answer === 'object' ? answer : null;
  } catch {
    return null;
  }
}

/** Without the password. */
function shown(url: URL): string {
  const copy = new URL(url);
  copy.password = '';
  return addressOf(copy);
}

function unreachable(url: URL, error: unknown): Fault {
  const { message, cause } = error as Error;
  const reason = cause instanceof Error && cause.message !== '' ? cause.message : message;
  return refused(url, `cannot be reached (${reason})`, error);
}

const refused = (url: URL, what: string, cause?: unknown): Fault =>
  new Fault(
    'UNAVAILABLE',
    `The Resonate server ${shown(url)} ${what}. Check the address given with --resonate, or start without it to keep everything on this machine.`,
    undefined,
    { cause },
  );

const mismatch = (url: URL, what: string): Fault =>
  new Fault('UNAVAILABLE', `The Resonate server ${shown(url)} does not fit ${OURS}: it ${what}.`);
