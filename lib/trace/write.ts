/**
 * Writes a trace as `.rep` text, which `readTrace` and the drivers of CS:APP's malloc lab can read.
 */

import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { ALIGNED, BY_REALLOC, CALLOC, FREE, MALLOC, peaksOf, type Trace } from './trace.js'

/** The number of operations in one portion of text. */
const PORTION = 4096

/** Returns the trace as `.rep` text with the four header lines of CS:APP. For short traces. */
export function formatTrace(trace: Trace): string {
  return [...portions(trace)].join('')
}

/** Writes the trace to `path`, gzipped if the name ends in `.gz`. Rejects with Node's own error. */
export async function writeTrace(path: string, trace: Trace): Promise<void> {
  const source = Readable.from(portions(trace), { objectMode: false })
  const file = createWriteStream(path)
  if (path.endsWith('.gz')) await pipeline(source, createGzip({ level: 9 }), file)
  else await pipeline(source, file)
}

function* portions(trace: Trace): Generator<string> {
  // The number in a header line must be exact, whatever the sizes add up to.
  const payload = Math.min(peaksOf(trace).payload, Number.MAX_SAFE_INTEGER)
  yield `${payload}\n${trace.ids}\n${trace.length}\n1\n`
  for (let start = 0; start < trace.length; start += PORTION) {
    const end = Math.min(start + PORTION, trace.length)
    let text = ''
    for (let i = start; i < end; i++) text += `${lineOf(trace, i)}\n`
    yield text
  }
}

function lineOf(trace: Trace, i: number): string {
  const id = trace.idOf[i]
  const size = trace.sizes[i]
  switch (trace.kinds[i]) {
    case MALLOC:
      return `${trace.extras[i] === BY_REALLOC ? 'r' : 'a'} ${id} ${size}`
    case CALLOC:
      return `c ${id} ${trace.extras[i]} ${size}`
    case ALIGNED:
      return `m ${id} ${trace.extras[i]} ${size}`
    case FREE:
      return trace.extras[i] === BY_REALLOC ? `r ${id} 0` : `f ${id}`
    default:
      return `r ${id} ${size}`
  }
}
