/**
 * The names of others as ids that any Resonate server takes: the SDK ends the process over an id that is not text, and a server
 * refuses `:`, NUL and nothing at all.
 *
 * I1: an id has 46 characters, letters, digits and `-` only, whatever the name; names that differ have ids that differ.
 * I2: daemons of different groups on one server have nothing in common.
 */
import { createHash } from 'node:crypto';
import { Fault } from '../fault.ts';

/** Characters of a name. */
const NAME_LENGTH_MAX = 1024;
const GROUP = /^[A-Za-z0-9_-]{1,64}$/;

export type IdKind = 'session' | 'promise' | 'log' | 'probe';
const PREFIX = {
  session: 'pyrepl3-s',
  promise: 'pyrepl3-p',
  log: 'pyrepl3-l',
  probe: 'pyrepl3-x',
} as const satisfies Record<IdKind, string>;

/** @param group as `checkedGroup` returned it */
export function safeId(group: string, kind: IdKind, name: string): string {
  const text: unknown = name;
  if (typeof text !== 'string' || text === '' || text.length > NAME_LENGTH_MAX || !text.isWellFormed())
    throw new Fault('INTERNAL', `A durable ${kind} needs a name of 1 to ${NAME_LENGTH_MAX} characters.`);
  const digest = createHash('sha256').update(`${group}\0${kind}\0${text}`).digest('hex');
  return `${PREFIX[kind]}-${digest.slice(0, 36)}`;
}

/** What is put into the addresses of a server, so it is held to what needs no escaping. Fails with UNAVAILABLE. */
export function checkedGroup(what: 'group' | 'process id', text: string): string {
  if (!GROUP.test(text))
    throw new Fault(
      'UNAVAILABLE',
      `The ${what} of Resonate must be 1 to 64 letters, digits, _ or -: ${JSON.stringify(text)}`,
    );
  return text;
}
