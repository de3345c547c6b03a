/** Bounds of a session that no level sets. */
export const SESSION_LIMITS = {
  /** Of each stream, in a result: enough for a person to see how it ended; all of it was streamed. */
  outputTailBytes: 64 * 1024,
  /** Ended executions whose answers are kept, to be given again for the same executionId. */
  answersKept: 1000,
  /** And their size together, as JSON. */
  answerBytesKept: 16 * 1024 * 1024,
  /** Questions about the namespace that wait for the host. */
  questionsMax: 1000,
  /** Open `input()` requests. */
  inputsMax: 100,
  inputTextBytesMax: 1024 * 1024,
  namesMax: 1000,
  /** Names whose refusal inside the isolate is written down for each cell: more than there are capabilities. */
  denialsNotedMax: 256,
  /** How long a call, or a raise, waits for an administrator before it is refused. */
  approvalWaitMs: 60 * 60 * 1000,
  /** How long it waits for somebody to say what became of a call that was under way when the daemon died. */
  doubtWaitMs: 7 * 24 * 60 * 60 * 1000,
  /** Of all clients together, awake: an isolate takes 1.3 MB, so these take less than 7 GB before they hold anything. */
  sessionsMax: 5000,
  /** And those that sleep, which take no memory to speak of: what bounds them is the disk. */
  sleepingMax: 100_000,
  checkpointsMax: 100,
  /** A session that was not used for so long is put to sleep, where it has nothing to do; looked for this often. */
  hibernateAfterMs: 5 * 60 * 1000,
  /** How long whoever asks what waits for a person has to wait, after the start, for what was running to run again. */
  recoveryMsMax: 10_000,
  /** A session that nobody has used or watched for so long is closed: its client is not coming back. */
  idleMsMax: 30 * 24 * 60 * 60 * 1000,
  idleLookMs: 60 * 1000,
} as const;
