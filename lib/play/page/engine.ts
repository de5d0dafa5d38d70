/**
 * What the script `engine` exports: the package's own allocator. It is bundled by itself, so that
 * stacks and its source map show it alone.
 */

export { openOwn } from '../own.js'
