/**
 * A solution of each step. They lie here packed, so that nobody who looks for them finds them:
 *
 *     node test/lab/pack.js unpack DIR    writes them as files, to be read and changed
 *     node test/lab/pack.js pack DIR      packs them again
 */

import { readFileSync } from 'node:fs'
import { brotliDecompressSync } from 'node:zlib'

const packed = brotliDecompressSync(readFileSync(new URL('solutions.br', import.meta.url)))
const sources: Readonly<Record<string, string>> = JSON.parse(packed.toString())

/** The source of the solution of a step. */
export function solution(step: number): string {
  const source = sources[`step${step}.ts`]
  if (source === undefined) throw new Error(`there is no solution of step ${step}`)
  return source
}
