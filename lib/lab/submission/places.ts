/**
 * Maps the places of a stack, which are in the compiled script, to lines of the student's sources.
 */

import { SourceMap } from 'node:module'
import { resolve } from 'node:path'
import type { CodePlace } from './fault.js'

const INLINE_MAP = /\/\/# sourceMappingURL=data:application\/json;base64,([\w+/=]+)\s*$/
/** A frame in the compiled script. */
const FRAME = /^\s+at (?:(.*?) \()?submission\.js:(\d+):(\d+)\)?$/

export class Places {
  readonly #map: SourceMap | undefined
  readonly #sources: readonly string[]

  /**
   * @param code the script, with its source map in its last line
   * @param sources absolute paths; those in the map are relative to the folder of the first
   */
  constructor(code: string, sources: readonly string[]) {
    const encoded = INLINE_MAP.exec(code)?.[1]
    this.#map =
      encoded === undefined
        ? undefined
        : new SourceMap(JSON.parse(Buffer.from(encoded, 'base64').toString()))
    this.#sources = sources
  }

  /** Returns the frames of a stack that are in the student's sources, the innermost first. */
  in(stack: string): CodePlace[] {
    const places: CodePlace[] = []
    for (const text of stack.split('\n')) {
      const match = FRAME.exec(text)
      if (match === null) continue
      const [, name = '', line, column] = match
      const place = this.at(Number(line), Number(column))
      if (place === undefined) continue
      const called = name.replace(/^(?:new |async )/, '').replace(/^Object\./, '')
      places.push({ ...place, function: called === '<anonymous>' ? '' : called })
    }
    return places
  }

  /** Maps a place in the script to one in the sources. Lines and columns count from 1. */
  at(line: number, column: number): CodePlace | undefined {
    const entry = this.#map?.findEntry(line - 1, column - 1)
    if (entry === undefined || !('originalSource' in entry)) return undefined
    const file = this.#sources.find(
      source => source === entry.originalSource || source.endsWith(`/${tail(entry.originalSource)}`)
    )
    if (file === undefined) return undefined
    return {
      file: resolve(file),
      line: entry.originalLine + 1,
      column: entry.originalColumn + 1,
      function: ''
    }
  }
}

/** Removes leading `./` and `../` from a relative path. */
function tail(path: string): string {
  return path.replace(/^(\.\.?\/)+/, '')
}

/** What a submission threw. */
export interface Thrown {
  /** The error as text: `TypeError: x is not a function` */
  readonly message: string
  readonly stack: readonly CodePlace[]
  /** Whether the stack overflowed. */
  readonly isDeep: boolean
}

export function thrownFrom(text: string, places: Places): Thrown {
  const [message = '', stack = ''] = text.split('\0')
  return {
    message,
    stack: places.in(stack),
    isDeep: message.startsWith('RangeError: Maximum call stack')
  }
}
