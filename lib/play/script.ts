/**
 * The frame around a script that holds an allocator. The page runs what is in it once for each
 * heap, so that variables of its modules begin anew; and the stack that is taken on the first line
 * tells on which line of the page the script begins.
 */

/** Options of esbuild that put a bundle into the frame. */
export function framed(name: string) {
  return {
    format: 'iife',
    globalName: 'loaded',
    banner: { js: `(globalThis.offheapScripts??={}).${name}={stack:new Error().stack,load(){` },
    footer: { js: 'return loaded}}' },
    sourcemap: 'external',
    target: 'es2022',
    bundle: true
  } as const
}
