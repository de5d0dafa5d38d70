/**
 * Reads a source map (ECMA-426, version 3): maps a position in the generated script to one in a
 * source. The page needs nothing else, and browsers offer no API for it.
 */

/** The fields of a source map that the page uses. */
export interface SourceMapJson {
  readonly sources: readonly string[]
  readonly sourcesContent: readonly string[]
  readonly mappings: string
}

/** A position in a source. Lines and columns begin at 1. */
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
/** Segments with fewer fields name no source. */
const SOURCE_FIELDS = 4

export class SourceMap {
  readonly #lines: readonly (readonly Segment[])[]

  constructor({ mappings }: Pick<SourceMapJson, 'mappings'>) {
    this.#lines = decode(mappings)
  }

  /**
   * Returns the source position of a generated line and column, which begin at 1; undefined if
   * there is none.
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
 * Returns the segments of each generated line. Each field is encoded as the difference from the
 * previous segment's.
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
 * Decodes Base64 VLQ: each digit has five bits, the low ones first, and a sixth bit if more digits
 * follow. The lowest bit of the number is its sign.
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
