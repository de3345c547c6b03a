/** Bounds of the network that no policy moves. */

const KIB = 1024;

/** What browsers take for the length of a URL, roughly. */
export const URL_CHARS_MAX = 8 * KIB;

export const REQUEST_HEADERS_MAX = 100;
export const REQUEST_HEADER_BYTES_MAX = 32 * KIB;

/** Real responses have some 30 headers and some 4 KiB of them. */
export const RESPONSE_HEADERS_MAX = 500;
export const RESPONSE_HEADER_BYTES_MAX = 64 * KIB;

/** A body that is complete by then comes with its response. */
export const INLINE_BODY_BYTES_MAX = 64 * KIB;

/** One message between daemon and isolate carries this much of a body. */
export const BODY_CHUNK_BYTES_MAX = 256 * KIB;

/** One of several addresses gets this long before the next one is tried beside it. */
export const ADDRESS_ATTEMPT_MS = 1000;

/** A server that does not answer a WebSocket's opening request by then does not speak it. */
export const HANDSHAKE_MS_MAX = 30_000;

/** What a WebSocket holds for code that has not asked yet; it reads no further then. */
export const RECEIVE_QUEUE_MESSAGES_MAX = 64;
export const RECEIVE_QUEUE_BYTES_MAX = 256 * KIB;

/** What code may have sent that the server has not taken. */
export const SEND_QUEUE_BYTES_MAX = 1024 * KIB;

/** How long a server has to answer a closing WebSocket. */
export const CLOSE_MS_MAX = 2000;
