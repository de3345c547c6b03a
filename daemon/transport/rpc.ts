/**
 * JSON-RPC 2.0 between connections and the table of handlers.
 *
 * I1: every request with an id gets exactly one answer while its connection lives; one without an id gets none.
 * I2: handlers of one connection start in the order in which their requests arrived.
 * I3: nothing is queued: what goes beyond a connection's requests in flight is answered BUSY at once.
 * I4: only a Fault's own words leave; any other exception leaves as INTERNAL with an incident number that the log has too.
 *
 * The json-rpc-2.0 library does the correlation; it costs 0.8 µs a request over a bare dispatch (Node 26). Batches and the
 * checks of an envelope are done here, since the library answers a batch of one without its array and fails on `null`.
 */
import { randomUUID } from 'node:crypto';
import {
  type JSONRPCErrorResponse,
  type JSONRPCID,
  type JSONRPCRequest,
  type JSONRPCResponse,
  JSONRPCServer,
} from 'json-rpc-2.0';
import * as v from 'valibot';
import { FAULTS, FRAME_BYTES_MAX, METHODS, type MethodName } from '../../client/protocol.ts';
import { Fault } from '../fault.ts';
import { Caller } from './caller.ts';
import { ClientRequests } from './client-requests.ts';
import type { Connection } from './connection.ts';
import { explainParams, shortened } from './explain-params.ts';
import { AnswerThen, type Handlers } from './handlers.ts';
import { jsonShapeProblem } from './json-shape.ts';
import type { TransportLimits } from './transport-limits.ts';

const ID_LENGTH_MAX = 256;
/** Names that valibot leaves out of a record without a word, for they would be misread as an object's own machinery. */
const UNUSABLE_NAMES = ['__proto__', 'constructor', 'prototype'];

/** What went wrong inside, for the log and never for a client. */
export interface Incident {
  readonly incident: string;
  readonly method: string;
  readonly error: unknown;
}

export interface RpcPowers {
  readonly handlers: Handlers;
  readonly limits: TransportLimits;
  /** A client has called what only administrators may. */
  readonly roleDenied: (caller: Caller, method: MethodName) => void;
  readonly log: (incident: Incident) => void;
}

type RpcConnection = Pick<
  Connection,
  'id' | 'role' | 'signal' | 'congested' | 'send' | 'onceDrained' | 'close' | 'onText'
>;
/** What a connection has in flight. */
type Load = { requests: number; bytes: number };
type AnyHandler = (params: unknown, caller: Caller) => unknown;

export class Rpc {
  readonly #powers: RpcPowers;
  readonly #server: JSONRPCServer<Caller>;

  constructor(powers: RpcPowers) {
    this.#powers = powers;
    // Failures are logged where they are caught; the library's own listener would print them a second time.
    this.#server = new JSONRPCServer<Caller>({ errorListener: () => undefined });
    this.#server.mapErrorToJSONRPCErrorResponse = (id, error) =>
      failure(id, error instanceof Fault ? error : this.#incident('', error));
    for (const method of Object.keys(METHODS) as MethodName[]) {
      this.#server.addMethod(method, this.#guarded(method, powers.handlers[method] as AnyHandler));
    }
  }

  /** Serves a connection until it ends. */
  serve(connection: RpcConnection): Caller {
    const requests = new ClientRequests(connection);
    const caller = new Caller(connection.id, connection.role, connection, requests);
    const load: Load = { requests: 0, bytes: 0 };
    connection.onText((text) => this.#receive(text, connection, caller, load, requests));
    return caller;
  }

  #receive(text: string, connection: RpcConnection, caller: Caller, load: Load, asked: ClientRequests): void {
    const message = this.#parse(text);
    if (message instanceof Fault) {
      connection.send(JSON.stringify(failure(null, message)));
      return;
    }
    // An answer to what the daemon asked is neither a request nor part of a batch.
    if (!message.batch && asked.settle(message.requests[0])) return;
    const { requestsInFlightMax, requestBytesInFlightMax } = this.#powers.limits;
    // A connection without any other load is served whatever the size, so that the largest message can be at all.
    const bytesFit = load.requests === 0 || load.bytes + text.length <= requestBytesInFlightMax;
    let admitted = 0;
    if (bytesFit) load.bytes += text.length;
    const answers = message.requests.map((request) => {
      if (!bytesFit || load.requests >= requestsInFlightMax) return this.#busy(request, load);
      load.requests += 1;
      admitted += 1;
      return this.#dispatch(request, caller);
    });
    const settle = (settled: (JSONRPCResponse | null)[]) => {
      load.requests -= admitted;
      if (bytesFit) load.bytes -= text.length;
      this.#answer(connection, settled, message.batch);
    };
    const [only] = answers;
    if (message.batch || only === undefined) Promise.all(answers).then(settle);
    else if (only === null || !('then' in only)) settle([only]);
    else only.then((answer) => settle([answer]));
  }

  /** The requests of a message, still unread; a Fault where the message as a whole is refused. */
  #parse(text: string): { readonly batch: boolean; readonly requests: readonly unknown[] } | Fault {
    const { jsonDepthMax, jsonMarksMax, batchLengthMax } = this.#powers.limits;
    const problem = jsonShapeProblem(text, jsonDepthMax, jsonMarksMax);
    if (problem !== null) return new Fault('INVALID_REQUEST', `The message is refused: ${problem}.`);
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch (error) {
      return new Fault('PARSE_ERROR', `The message is not JSON: ${shortened((error as Error).message)}`);
    }
    if (!Array.isArray(message)) return { batch: false, requests: [message] };
    if (message.length === 0) return new Fault('INVALID_REQUEST', 'A batch must hold at least one request.');
    if (message.length > batchLengthMax) {
      return new Fault(
        'INVALID_REQUEST',
        `A batch may hold ${batchLengthMax} requests, this one has ${message.length}.`,
      );
    }
    return { batch: true, requests: message };
  }

  #dispatch(value: unknown, caller: Caller): JSONRPCResponse | null | PromiseLike<JSONRPCResponse | null> {
    const request = requestOf(value);
    if (request instanceof Fault) return failure(idOf(value), request);
    if (this.#server.hasMethod(request.method)) return this.#server.receive(request, caller);
    if (request.id === undefined) return null;
    const name = JSON.stringify(shortened(request.method));
    return failure(
      request.id,
      new Fault('METHOD_NOT_FOUND', `There is no method ${name}; docs/PROTOCOL.md lists them.`),
    );
  }

  #busy(value: unknown, load: Load): JSONRPCResponse | null {
    if (typeof value === 'object' && value !== null && !('id' in value)) return null;
    const { requestsInFlightMax, requestBytesInFlightMax } = this.#powers.limits;
    const why = `This connection has ${load.requests} requests of ${load.bytes} characters in flight`;
    const busy = new Fault('BUSY', `${why}; wait for some of their answers before asking more.`, {
      requestsInFlightMax,
      requestBytesInFlightMax,
    });
    return failure(idOf(value), busy);
  }

  #answer(connection: RpcConnection, settled: readonly (JSONRPCResponse | null)[], batch: boolean): void {
    const answers = settled.filter((answer) => answer !== null);
    if (answers.length === 0) return;
    const followUps: (() => void)[] = [];
    const texts = answers.map((answer) => {
      if (!(answer.result instanceof AnswerThen)) return this.#textOf(answer);
      followUps.push(answer.result.after);
      return this.#textOf({ jsonrpc: '2.0', id: answer.id, result: answer.result.result });
    });
    const text = batch ? `[${texts.join(',')}]` : (texts[0] as string);
    // Each answer of a batch fits a message; all of them together need not.
    connection.send(!batch || fits(text) ? text : `[${answers.map(({ id }) => tooLarge(id, text)).join(',')}]`);
    for (const act of followUps) act();
  }

  #textOf(answer: JSONRPCResponse): string {
    try {
      const text = JSON.stringify(answer);
      return fits(text) ? text : tooLarge(answer.id, text);
    } catch (error) {
      return JSON.stringify(failure(answer.id, this.#incident('', error)));
    }
  }

  #incident(method: string, error: unknown): Fault {
    const incident = randomUUID();
    this.#powers.log({ incident, method, error });
    return new Fault('INTERNAL', `Something went wrong inside the daemon; its log has it as incident ${incident}.`, {
      incident,
    });
  }

  /** A handler behind the checks that all of them share: the role, the parameters, and what may be said of a failure. */
  #guarded(method: MethodName, handler: AnyHandler): (params: unknown, caller: Caller) => unknown {
    const { role, params: schema } = METHODS[method];
    const failed = (error: unknown): never => {
      throw error instanceof Fault ? error : this.#incident(method, error);
    };
    return (params, caller) => {
      if (role === 'admin' && caller.role !== 'admin') {
        this.#powers.roleDenied(caller, method);
        throw new Fault(
          'ROLE_DENIED',
          `${method} is for administrators: call it on admin.sock instead of client.sock.`,
        );
      }
      const parsed = parseParams(method, schema, params);
      if (method !== 'daemon.hello') caller.seal();
      try {
        const result = handler(parsed, caller);
        return result instanceof Promise ? result.catch(failed) : result;
      } catch (error) {
        return failed(error);
      }
    };
  }
}

function failure(id: JSONRPCID, fault: Fault): JSONRPCErrorResponse {
  return { jsonrpc: '2.0', id, error: { code: FAULTS[fault.code].rpc, message: fault.message, data: fault.toData() } };
}

function tooLarge(id: JSONRPCID, text: string): string {
  const bytes = Buffer.byteLength(text);
  const message = `The answer has ${bytes} bytes; a message may have ${FRAME_BYTES_MAX}. Ask for less at once.`;
  return JSON.stringify(failure(id, new Fault('TOO_LARGE', message, { bytes, bytesMax: FRAME_BYTES_MAX })));
}

function parseParams(method: MethodName, schema: v.GenericSchema, params: unknown): unknown {
  const given = params === undefined ? {} : params;
  if (Array.isArray(given)) {
    throw new Fault('INVALID_PARAMS', `${method}: params must be an object of named parameters, got a list`);
  }
  // One issue is enough: a list of a million wrong items would otherwise be described a million times.
  const parsed = v.safeParse(schema, given, { abortEarly: true });
  if (!parsed.success) throw new Fault('INVALID_PARAMS', explainParams(method, schema, parsed.issues[0]));
  for (const [key, value] of Object.entries(given as Record<string, unknown>)) {
    if (typeof value !== 'object' || value === null) continue;
    const unusable = UNUSABLE_NAMES.find((name) => Object.hasOwn(value, name));
    if (unusable !== undefined) {
      throw new Fault('INVALID_PARAMS', `${method}: ${key} may not hold the name ${JSON.stringify(unusable)}`);
    }
  }
  return parsed.output;
}

function requestOf(value: unknown): JSONRPCRequest | Fault {
  const refuse = (why: string) => new Fault('INVALID_REQUEST', `This is not a JSON-RPC 2.0 request: ${why}.`);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse('it is not an object');
  const { jsonrpc, method, id } = value as Record<string, unknown>;
  if ('result' in value || 'error' in value) return refuse('it is an answer, and those come one by one');
  if (jsonrpc !== '2.0') return refuse('its jsonrpc must be "2.0"');
  if (typeof method !== 'string') return refuse('its method must be a string');
  if (id !== undefined && !isId(id))
    return refuse(`its id must be a string of at most ${ID_LENGTH_MAX}, a number or null`);
  return value as JSONRPCRequest;
}

function isId(id: unknown): id is string | number | null {
  return id === null || (typeof id === 'string' ? id.length <= ID_LENGTH_MAX : Number.isFinite(id));
}

/** The id to answer with, where the value has one that can be answered. */
function idOf(value: unknown): string | number | null {
  const id = typeof value === 'object' && value !== null ? (value as { id?: unknown }).id : null;
  return isId(id) ? id : null;
}

function fits(text: string): boolean {
  return text.length * 3 <= FRAME_BYTES_MAX || Buffer.byteLength(text) <= FRAME_BYTES_MAX;
}
