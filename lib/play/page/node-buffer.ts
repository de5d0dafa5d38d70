/** Of `node:buffer`, what the engine asks for: a heap in a page is far smaller. */

export const constants = { MAX_LENGTH: 2 ** 32 }
