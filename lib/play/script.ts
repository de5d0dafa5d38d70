/**
 * The frame around a script that contains an allocator. The page runs the script once for each
 * heap, so that module variables are created again. The stack taken on the first line tells on
 * which line of the page the script begins.
 */

/** Returns the esbuild options that put a bundle into the frame. */
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
