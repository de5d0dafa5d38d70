/** Paths of files that are not compiled TypeScript. This file runs from bench/build/. */
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

/** The root of the package. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export const require = createRequire(import.meta.url)

export const NATIVE = `${ROOT}bench/native`
export const ADDON = `${NATIVE}/build/Release/bench.node`
export const DLMALLOC = `${ROOT}bench/wasm/dlmalloc.wasm`
export const TLSF_SOURCE = `${ROOT}bench/wasm/tlsf.as`
export const TLSF = `${ROOT}bench/wasm/build/tlsf.wasm`
export const CHILD = fileURLToPath(new URL('./process/child.js', import.meta.url))
/** The folder of the recordings in this repository. */
export const SHIPPED = `${ROOT}traces`
