/**
 * Parses a fault from a submission's process. The process may send anything, so every field is
 * checked.
 */

import { type CodePlace, FAULT_KINDS, type Fault, faultOf } from '../submission/fault.js'

/** The most characters of a text, and the most lines of a list. */
const MOST_TEXT = 4000
const MOST_LINES = 60

/**
 * @param sources the only files that the stack may name, because reports show their lines
 */
export function faultFrom(json: string, sources: readonly string[]): Fault {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    value = undefined
  }
  const kind = FAULT_KINDS.find(each => each === entry(value, 'kind'))
  if (kind === undefined)
    return faultOf(
      'tampering',
      'the process of the submission answered with something that is no answer'
    )
  return faultOf(kind, text(entry(value, 'what')), {
    block: integer(entry(value, 'block')),
    operation: integer(entry(value, 'operation')),
    where: text(entry(value, 'where')),
    details: lines(entry(value, 'details')),
    picture: lines(entry(value, 'picture')),
    stack: list(entry(value, 'stack')).flatMap(place => placeFrom(place, sources)),
    cause: text(entry(value, 'cause')),
    hint: text(entry(value, 'hint'))
  })
}

function entry(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

function text(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, MOST_TEXT) : ''
}

function integer(value: unknown): number {
  return typeof value === 'number' && Number.isInteger(value) ? value : -1
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value.slice(0, MOST_LINES) : []
}

function lines(value: unknown): string[] {
  return list(value).map(text)
}

function placeFrom(value: unknown, sources: readonly string[]): CodePlace[] {
  const line = integer(entry(value, 'line'))
  const file = text(entry(value, 'file'))
  if (line < 1 || !sources.includes(file)) return []
  return [
    {
      file,
      line,
      column: Math.max(1, integer(entry(value, 'column'))),
      function: text(entry(value, 'function'))
    }
  ]
}
