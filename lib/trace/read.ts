/**
 * Reads a `.rep` file, gzipped or not, as a stream: only the parsed trace and one chunk are in
 * memory.
 */

import { createReadStream } from 'node:fs'
import { constants } from 'node:os'
import { basename } from 'node:path'
import { pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { OffheapError } from '../errors.js'
import { TraceParser } from './parse.js'
import type { Trace } from './trace.js'

/**
 * Reads the trace at `path`. Its first bytes, not its name, tell whether it is gzipped. Throws
 * `ERR_OFFHEAP_TRACE` (`path:line: …`) for an invalid trace, `ERR_OFFHEAP_SYSTEM` for a failed
 * read.
 */
export async function readTrace(path: string): Promise<Trace> {
  const parser = new TraceParser(path)
  try {
    for await (const chunk of inflated(createReadStream(path, { highWaterMark: 2 ** 18 })))
      parser.push(chunk)
  } catch (error) {
    throw explain(error, parser, path)
  }
  return parser.finish(traceName(path))
}

/** The name of the trace in a file: `vim` for `traces/vim.rep.gz`. */
export function traceName(path: string): string {
  return basename(path).replace(/\.rep(\.gz)?$/, '')
}

async function* inflated(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const chunks = source[Symbol.asyncIterator]()
  // A pipe may deliver a single byte first; the magic number needs two.
  let head: Buffer = Buffer.alloc(0)
  while (head.length < 2) {
    const next = await chunks.next()
    if (next.done === true) break
    head = Buffer.concat([head, next.value])
  }
  const all = joined(head, chunks)
  if (head[0] !== 0x1f || head[1] !== 0x8b) {
    yield* all
    return
  }
  const gunzip = createGunzip({ chunkSize: 2 ** 18 })
  // Errors reach the reader of `gunzip`, which the pipeline destroys with them.
  pipeline(Readable.from(all, { objectMode: false }), gunzip, () => {})
  yield* gunzip
}

async function* joined(head: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  try {
    if (head.length > 0) yield head
    for (let next = await rest.next(); next.done !== true; next = await rest.next())
      yield next.value
  } finally {
    // A reader that stops early, on an error, closes the file.
    await rest.return?.()
  }
}

function explain(error: unknown, parser: TraceParser, path: string): unknown {
  if (error instanceof OffheapError || !(error instanceof Error)) return error
  const fault: NodeJS.ErrnoException = error
  if (fault.code?.startsWith('Z_') === true) {
    return parser.fail(
      fault.code === 'Z_BUF_ERROR'
        ? 'the gzip data ends too early: the file was cut short'
        : `the gzip data is damaged (${fault.message})`
    )
  }
  if (fault.errno === undefined || fault.syscall === undefined) return error
  // On Windows, Node's own numbers are not the system's.
  const known = Object.entries(constants.errno).find(([name]) => name === fault.code)
  return new OffheapError('ERR_OFFHEAP_SYSTEM', `${path}: can't be read: ${fault.message}`, {
    errno: known?.[1] ?? Math.abs(fault.errno),
    syscall: fault.syscall
  })
}
