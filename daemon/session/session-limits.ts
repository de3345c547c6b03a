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
  /** Of all clients together: an isolate takes 1.3 MB, so these take less than 7 GB before they hold anything. */
  sessionsMax: 5000,
  /** A session that nobody has used or watched for so long is closed: its client is not coming back. */
  idleMsMax: 24 * 60 * 60 * 1000,
  idleLookMs: 60 * 1000,
} as const;
