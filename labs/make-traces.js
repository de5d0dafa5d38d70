/**
 * Generates the traces of the lab: `npm run build && node labs/make-traces.js`. Every run writes
 * the same traces. The patterns are in lib/lab/kit/patterns.ts. The last three traces are the
 * beginnings of recorded programs, with malloc in place of calloc and memalign.
 */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { shippedTraces, TraceText, writeTraces } from '../dist/lab/kit/patterns.js'

/** The operations kept of each recording. */
const RECORDED = 12_000

const texts = shippedTraces()

for (const name of ['cc1', 'sqlite', 'vim']) {
  const text = gunzipSync(
    readFileSync(new URL(`../traces/${name}.rep.gz`, import.meta.url))
  ).toString()
  const trace = new TraceText()
  const ids = new Map()
  for (const line of text
    .split('\n')
    .filter(line => /^[acmrf]/.test(line))
    .slice(0, RECORDED)) {
    const [operation, id, ...numbers] = line.split(' ')
    const bytes = operation === 'c' ? numbers[0] * numbers[1] : Number(numbers.at(-1))
    if (operation === 'f') trace.free(ids.get(id))
    else if (operation === 'r') trace.realloc(ids.get(id), bytes)
    else ids.set(id, trace.malloc(Math.max(1, bytes)))
  }
  texts.set(name, trace.toString())
}

writeTraces(fileURLToPath(new URL('traces/', import.meta.url)), texts)
