/**
 * Arbitrary events, as a broken recorder could write them: the translation must end with a trace,
 * or with an error that says why not.
 */
import { writeFileSync } from 'node:fs'
import { OffheapError } from '../../lib/errors.js'
import { Translation, translateEvents } from '../../lib/trace/events.js'
import { parseTrace } from '../../lib/trace/parse.js'
import { scratch } from './trace-target.js'

const HEADER_BYTES = 65536
const EVENT_BYTES = 24

/** Writes a recording of these events, whose header claims `count` events. Returns its path. */
export function writeRecording(events: Uint8Array, promised: number): string {
  const header = Buffer.alloc(HEADER_BYTES)
  header.write('OFHPREC1', 'latin1')
  header.writeBigUInt64LE(1n, 8)
  header.writeBigUInt64LE(BigInt(promised), 16)
  header.writeBigUInt64LE(BigInt(promised), 64)
  const path = scratch('events')
  writeFileSync(path, Buffer.concat([header, events]))
  return path
}

/** Translates `data` as the events of a recording. Returns the outcome. Throws a finding. */
export async function fuzzEvents(data: Uint8Array): Promise<string[]> {
  const path = writeRecording(data, Math.floor(data.length / EVENT_BYTES))
  const translation = new Translation()
  let text = ''
  for await (const piece of translateEvents(path, translation)) text += piece
  const { operations, aliveBlocks, ids, dropped, failed } = translation
  if (text.split('\n').length - 1 !== operations)
    throw new Error(`${operations} operations are not lines of the text`)
  if (operations === 0) return ['nothing']
  try {
    const trace = parseTrace(text)
    if (trace.ids !== ids)
      throw new Error(`${ids} blocks were counted, and the text has ${trace.ids}`)
  } catch (error) {
    if (!(error instanceof OffheapError)) throw error
    return [error.message.replace(/[^a-zA-Z ]+/g, '')]
  }
  return [
    `alive ${Math.min(3, aliveBlocks)}`,
    `dropped ${Math.min(2, dropped)}`,
    `failed ${Math.min(2, failed)}`
  ]
}
