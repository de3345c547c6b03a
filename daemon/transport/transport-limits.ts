import { FRAME_BYTES_MAX } from '../../client/protocol.ts';

/** Every bound of the transport; the reason for each default stands beside it in {@link TRANSPORT_LIMITS}. */
export interface TransportLimits {
  readonly connectionsMax: number;
  readonly handshakeMsMax: number;
  readonly handshakeBytesMax: number;
  readonly fragmentsMax: number;
  readonly heartbeatMs: number;
  readonly closeMsMax: number;
  readonly unsentBytesMax: number;
  readonly replayUnsentBytesMax: number;
  readonly requestsInFlightMax: number;
  readonly requestBytesInFlightMax: number;
  readonly batchLengthMax: number;
  readonly jsonDepthMax: number;
  readonly jsonMarksMax: number;
}

export const TRANSPORT_LIMITS: TransportLimits = {
  /** A connection is two descriptors' worth of bookkeeping; 1,024 stay well below the usual limit of open files. */
  connectionsMax: 1024,
  /** A local peer needs microseconds for its handshake. */
  handshakeMsMax: 10_000,
  /** The handshake of an honest client is 300 bytes. */
  handshakeBytesMax: 8 * 1024,
  /** An honest client sends a whole message in one frame; a frame split over and over costs memory for every piece. */
  fragmentsMax: 4096,
  /** A peer that vanished without closing is noticed within three of these. */
  heartbeatMs: 15_000,
  /** How long a closed connection may take to say goodbye before its socket is destroyed. */
  closeMsMax: 2000,
  /** Two of the largest messages. What a peer has not read is held in the daemon's memory. */
  unsentBytesMax: 2 * FRAME_BYTES_MAX,
  /** Old events are handed over only while less than this waits, so that a replay never fills the buffer that answers need. */
  replayUnsentBytesMax: 1024 * 1024,
  /** More than any client keeps in flight on purpose; a request in flight costs about 2 KB. */
  requestsInFlightMax: 4096,
  /** Eight of the largest requests: their sources stay in memory until they are answered. */
  requestBytesInFlightMax: 8 * FRAME_BYTES_MAX,
  batchLengthMax: 100,
  /** Deeper than any value a person writes, far from what recursion in a handler could not stand. */
  jsonDepthMax: 200,
  /** Brackets, commas and colons outside strings. The densest JSON costs about 60 bytes of heap for each. */
  jsonMarksMax: 500_000,
};

/** The bounds of a session's event queue. */
export interface EventLimits {
  readonly eventsMax: number;
  readonly eventBytesMax: number;
}

/** What a client may have missed and still be given: 10,000 events, and no more than one of the largest messages in all. */
export const EVENT_LIMITS: EventLimits = { eventsMax: 10_000, eventBytesMax: FRAME_BYTES_MAX };
