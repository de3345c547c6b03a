/** Makes what a session consists of, and ties it together: each part is given what it uses of the others. */
import type { EventBody } from '../../client/protocol.ts';
import type { Entitlements } from '../capabilities/entitlements.ts';
import { CellQueue, type CellQueuePowers } from './cell-queue.ts';
import { IsolateKeeper } from './isolate-keeper.ts';
import { LevelRaises, type RaisesPowers } from './level-raises.ts';
import type { SessionPowers } from './session.ts';
import { SessionCalls } from './session-calls.ts';
import { SessionCheckpoints } from './session-checkpoints.ts';
import { SessionEffects } from './session-effects.ts';
import type { SessionGrant } from './session-grant.ts';
import type { IsolateEvents, SessionIsolate } from './session-isolate.ts';
import { SessionLife } from './session-life.ts';
import { SessionQuestions } from './session-questions.ts';
import type { SessionSetup } from './session-setup.ts';
import { SessionVoice } from './session-voice.ts';

/** What the parts need of the session itself. */
export interface WholeSession {
  readonly grant: () => SessionGrant;
  readonly run: CellQueuePowers['run'];
  readonly onMessage: IsolateEvents['onMessage'];
  readonly onCellDone: IsolateEvents['onCellDone'];
  readonly readyIsolate: () => SessionIsolate;
  readonly forget: () => void;
  readonly violated: (message: string) => void;
  readonly raised: RaisesPowers['approved'];
  readonly store: () => void;
  readonly committed: () => Promise<void>;
  readonly closed: () => boolean;
}

export interface SessionParts {
  readonly life: SessionLife;
  readonly cells: CellQueue;
  readonly keeper: IsolateKeeper;
  readonly calls: SessionCalls;
  readonly effects: SessionEffects;
  readonly voice: SessionVoice;
  readonly checkpoints: SessionCheckpoints;
  readonly questions: SessionQuestions;
  readonly raises: LevelRaises;
}

export function makeParts(
  setup: SessionSetup,
  entitlements: Entitlements,
  powers: SessionPowers,
  whole: WholeSession,
): SessionParts {
  const { sessionId, principal, name, language, argv, events, journal } = setup;
  const { pool, packages, audit, monotonicMs, nowMs, executions } = powers;
  const { grant, committed } = whole;
  const emit = (event: EventBody): void => events.tell(event);
  const life = new SessionLife(sessionId, journal, nowMs);
  const cells: CellQueue = new CellQueue({
    ...{ sessionId, audit, monotonicMs, executions, emit, journal, life },
    limits: () => grant().limits,
    run: whole.run,
    ready: () => keeper.ready,
    overdue: (message) => keeper.isolate.killHost(message),
    // Where it fails, its isolate was lost meanwhile, which is told elsewhere.
    rested: () => void keeper.sleep.rest().catch(() => undefined),
  });
  const keeper: IsolateKeeper = new IsolateKeeper({
    ...{ sessionId, language, argv, pool, packages, audit, life, grant, emit },
    cells: () => cells,
    effects: () => effects,
    onMessage: whole.onMessage,
    onCellDone: whole.onCellDone,
    forget: whole.forget,
    flush: () => voice.flush(),
    unsay: () => voice.forget(),
    violated: whole.violated,
    records: () => journal.read().records,
  });
  const calls: SessionCalls = new SessionCalls({
    ...{ life, nowMs, emit },
    effects: () => effects,
    settle: (call, ok, json) => keeper.isolate.settleCall(call, ok, json),
    diverged: (problem) => keeper.diverged(problem),
  });
  const effects: SessionEffects = new SessionEffects(entitlements, powers, {
    ...{ sessionId, principal, language, emit, life },
    sessionName: name,
    assertOwned: () => setup.ownership.assertHeld(),
    settle: (call, ok, json) => {
      // What a daemon that ends does to what is under way is no outcome of it.
      if (whole.closed() || !life.settled(call, ok, json)) return;
      // A session that sleeps is told when it is made again.
      if (keeper.isolate.isOpen) keeper.isolate.settleCall(call.call, ok, json);
      else keeper.open();
    },
    waitPatiently: () => cells.waitPatiently(),
    requestInput: (made, prompt, waitMs, signal) => calls.requestInput(made, prompt, waitMs, signal),
  });
  const voice = new SessionVoice({
    ...{ life, emit },
    redactor: effects.redactor,
    written: (output) => cells.written(output),
    outputBytesMax: () => grant().limits.cellOutputBytesMax,
  });
  journal.kept = {
    firstKeptSeq: () => events.firstKeptSeq,
    hasAnswer: (executionId) => cells.hasAnswer(executionId),
  };
  const checkpoints = new SessionCheckpoints({ cells, keeper, life, committed });
  const questions = new SessionQuestions({
    isolate: whole.readyIsolate,
    madeAgain: () => keeper.isolate.isOpen,
    redact: (answer) => effects.redactor.redactJson(answer),
    valueBytesMax: () => grant().limits.valueBytesMax,
    stateful: () => {
      keeper.stateful = true;
    },
    committed,
  });
  const raises = new LevelRaises({
    nowMs,
    request: (raise, signal, again) => effects.askForLevel(raise, signal, again),
    approved: whole.raised,
    changed: whole.store,
  });
  return { life, cells, keeper, calls, effects, voice, checkpoints, questions, raises };
}
