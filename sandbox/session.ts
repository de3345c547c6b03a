/** What a host does for one session, whatever its language. */
import type { Isolate } from './isolate.ts';
import type { CapabilityGrant, CellLimits, FromHost, IsolateImage, Question, ReplayStep } from './protocol.ts';
import type { OpenedImage } from './session-language.ts';

export interface HostSession {
  run(cell: number, source: string, limits: CellLimits): void;
  /** Ends the running cell if it still is this one. */
  stop(cell: number): void;
  /** False where no such call is open. */
  settleCall(call: number, ok: boolean, json: string): boolean;
  /** @param number names this change */
  setCapabilities(grant: CapabilityGrant, number: number): void;
  /** The next steps of the life of the lost isolate that this one is to become. */
  replay(steps: readonly ReplayStep[], last: boolean): void;
  ask(id: number, question: Question): void;
  /** Time that its isolate ran, or waited for a core, since `settleCpu` was called last. */
  readonly unsettledMs: number;
  /** Counts that share of it as CPU time. */
  settleCpu(share: number): void;
  /** Called every few milliseconds while code may be running: holds CPU use against its limit. */
  tick(): void;
  dispose(): void;
}

/** What is known of an isolate that another one is to become. */
export interface LostIsolate {
  readonly openedMs: number;
  /** What it goes on from; undefined where that is its opening. */
  readonly image: IsolateImage | undefined;
  /** What of the image the isolate is still to be told; undefined where it was made with it. */
  readonly opened: OpenedImage | undefined;
}

/** A message about this session; the host adds which isolate it is about. */
export type SessionMessage<M = FromHost> = M extends { readonly isolate: string } ? Omit<M, 'isolate'> : never;

export interface SessionPowers {
  send(message: SessionMessage): void;
  /** Milliseconds since the epoch. */
  nowMs(): number;
  /** Milliseconds of a clock that never goes back. */
  monotonicMs(): number;
  /** V8 has lost control of the session's isolate. */
  doomed(by: 'memory' | 'stuck', message: string): void;
  /** The session is running code from now on, or no longer; `tick` is called meanwhile. */
  setActive(active: boolean): void;
  /** An isolate like the session's that nothing has run in. */
  another(): Isolate;
}
