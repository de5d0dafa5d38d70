/**
 * The exports of the script `engine`: the package's own allocator. It is a bundle of its own, so
 * that stacks and the source map contain nothing else.
 */

export { openOwn } from '../own.js'
