/**
 * Reads a source map (ECMA-426, version 3): which place of which source a place of the generated
 * script comes from. The page needs nothing else of it, and browsers offer no reader.
 */

/** A source map as esbuild writes it. */
export interface SourceMapJson {
  readonly sources: readonly string[]
  readonly sourcesContent: readonly string[]
  readonly mappings: string
}

/** A place in a source; lines and columns begin at 1. */
export interface SourcePlace {
  readonly source: number
  readonly line: number
  readonly column: number
}

/** One mapping of a generated line. Columns and lines begin at 0, as in the map. */
interface Segment {
  readonly column: number
  readonly source: number
  readonly line: number
  readonly sourceColumn: number
}

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
/** A segment of four fields names a source; the others name none. */
const SOURCE_FIELDS = 4

export class SourceMap {
  readonly #lines: readonly (readonly Segment[])[]

  constructor({ mappings }: Pick<SourceMapJson, 'mappings'>) {
    this.#lines = decode(mappings)
  }

  /**
   * The source of the generated line and column, which begin at 1; undefined when nothing is mapped
   * there.
   */
  find(line: number, column: number): SourcePlace | undefined {
    const segments = this.#lines[line - 1] ?? []
    let found: Segment | undefined
    for (const segment of segments) {
      if (segment.column > column - 1) break
      found = segment
    }
    if (found === undefined) return undefined
    return { source: found.source, line: found.line + 1, column: found.sourceColumn + 1 }
  }
}

/**
 * The segments of each generated line. All fields are differences from those of the segment before.
 */
function decode(mappings: string): Segment[][] {
  let [source, line, sourceColumn] = [0, 0, 0]
  return mappings.split(';').map(text => {
    const segments: Segment[] = []
    let column = 0
    for (const part of text.split(',')) {
      const fields = integers(part)
      column += fields[0] ?? 0
      if (fields.length < SOURCE_FIELDS) continue
      source += fields[1]
      line += fields[2]
      sourceColumn += fields[3]
      segments.push({ column, source, line, sourceColumn })
    }
    return segments
  })
}

/**
 * Base64 VLQ: five bits a digit, low ones first, the sixth for more to come; then sign in the
 * lowest bit.
 */
function integers(text: string): number[] {
  const found: number[] = []
  let value = 0
  let shift = 0
  for (const character of text) {
    const digit = DIGITS.indexOf(character)
    value += (digit & 31) * 2 ** shift
    shift += 5
    if (digit >= 32) continue
    found.push(value % 2 === 0 ? value / 2 : -(value - 1) / 2)
    value = 0
    shift = 0
  }
  return found
}
