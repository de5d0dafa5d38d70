/**
 * Replaces `node:buffer` in the page, with what the engine imports. Heaps in the page are far
 * smaller.
 */

export const constants = { MAX_LENGTH: 2 ** 32 }
