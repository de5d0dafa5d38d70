/**
 * The solutions of the steps. They are compressed, so that nobody finds them by accident:
 *
 *     node test/lab/pack.js unpack DIR    unpacks them into a folder
 *     node test/lab/pack.js pack DIR      packs the files of a folder
 */

import { readFileSync } from 'node:fs'
import { brotliDecompressSync } from 'node:zlib'

const packed = brotliDecompressSync(readFileSync(new URL('solutions.br', import.meta.url)))
const sources: Readonly<Record<string, string>> = JSON.parse(packed.toString())

/** Returns the source of the solution of a step. */
export function solution(step: number): string {
  const source = sources[`step${step}.ts`]
  if (source === undefined) throw new Error(`there is no solution of step ${step}`)
  return source
}
