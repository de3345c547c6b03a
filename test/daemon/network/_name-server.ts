import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv4 } from 'node:net';
import type { ExecutionContext } from 'ava';
import ipaddr from 'ipaddr.js';

export type RecordType = 'A' | 'AAAA' | 'CNAME' | 'MX' | 'TXT' | 'SRV';

/** The data of one record: an address, a name, or the bytes of any other type. */
export type RecordData = string | Buffer;

/** What is answered: records, that there is no such name, or nothing at all. */
export type Answer = readonly RecordData[] | 'no-such-name' | 'silence';

export interface NameServer {
  /** For `servers` of a resolver. */
  readonly address: string;
  /** What was asked, in order: `example.com A`. */
  readonly questions: readonly string[];
}

const TYPES: Readonly<Record<number, RecordType>> = { 1: 'A', 28: 'AAAA', 5: 'CNAME', 15: 'MX', 16: 'TXT', 33: 'SRV' };
const HEADER_BYTES = 12;
const NO_SUCH_NAME = 3;

/** A name server on loopback (RFC 1035 over UDP), one question and one kind of answer at a time. */
export async function startNameServer(
  t: ExecutionContext,
  answer: (name: string, type: RecordType) => Answer,
): Promise<NameServer> {
  const socket = createSocket('udp4');
  const questions: string[] = [];
  socket.on('message', (query, { port, address }) => {
    const { name, type, end } = readQuestion(query);
    questions.push(`${name} ${type}`);
    const answered = answer(name, type);
    if (answered !== 'silence') socket.send(reply(query.subarray(0, end), answered), port, address);
  });
  await listening(socket);
  t.teardown(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  return { address: `127.0.0.1:${socket.address().port}`, questions };
}

/** Answers from a table of addresses, and that there is no other name. */
export function addressesOf(table: Readonly<Record<string, readonly string[]>>) {
  return (name: string, type: RecordType): Answer => {
    const addresses = table[name];
    if (addresses === undefined) return 'no-such-name';
    if (type !== 'A' && type !== 'AAAA') return [];
    return addresses.filter((address) => isIPv4(address) === (type === 'A'));
  };
}

/** A name as records hold it: each label after its length. */
export function nameBytes(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)]));
  return Buffer.concat([...labels, Buffer.from([0])]);
}

async function listening(socket: Socket): Promise<void> {
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
}

function readQuestion(query: Buffer): { name: string; type: RecordType; end: number } {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const type = TYPES[query.readUInt16BE(at + 1)];
  if (type === undefined) throw new Error('asked for a type that this server does not know');
  // c-ares may vary the case of what it asks, to recognise the answer.
  return { name: labels.join('.').toLowerCase(), type, end: at + 5 };
}

function reply(question: Buffer, answer: Exclude<Answer, 'silence'>): Buffer {
  const header = Buffer.from(question.subarray(0, HEADER_BYTES));
  const records = answer === 'no-such-name' ? [] : answer;
  header.writeUInt16BE(0x8580 | (answer === 'no-such-name' ? NO_SUCH_NAME : 0), 2);
  header.writeUInt16BE(records.length, 6);
  header.writeUInt32BE(0, 8);
  const body = question.subarray(HEADER_BYTES);
  const type = body.subarray(-4, -2);
  return Buffer.concat([header, body, ...records.map((data) => recordBytes(type, data))]);
}

function recordBytes(type: Buffer, data: RecordData): Buffer {
  const bytes = typeof data === 'string' ? Buffer.from(ipaddr.parse(data).toByteArray()) : data;
  const fixed = Buffer.alloc(8);
  // Class IN, and a time to live of nothing.
  fixed.writeUInt16BE(1, 0);
  fixed.writeUInt16BE(bytes.length, 6);
  return Buffer.concat([Buffer.from([0xc0, HEADER_BYTES]), type, fixed, bytes]);
}
