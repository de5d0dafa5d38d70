/**
 * Draws the neighbourhood of a fault as text, in address order and to scale:
 *
 *     4096 |....aaaaaaaaaaaa....bbbbbbbbbbbbbbbbbbbbbbbb....|~~~~ 4224   2 bytes a column
 *          |                            ^^^^^^^^^^          |     4150 to 4169: the new block
 *        a  id 0 (24 bytes at 4104, from operation 1, line 5)
 *        b  id 1 (48 bytes at 4136, from operation 2, line 6)
 *
 * ASCII only, because it is shown in e-mails, web forms and terminals of all kinds.
 */

import type { Ledger } from './ledger.js'

const COLUMNS = 64
/** The fewest bytes shown on either side of the focus. */
const CONTEXT = 24
const LETTERS = 'abcdefghijklmnopqrstuvwxyz'

export interface Focus {
  /** Byte offsets; `to` is exclusive. */
  readonly from: number
  readonly to: number
  /** What is there. */
  readonly label: string
}

/**
 * @param bounds the beginning and the end of the heap
 */
export function neighbourhood(
  ledger: Ledger,
  bounds: { low: number; high: number },
  focus: Focus
): string[] {
  const length = Math.max(1, focus.to - focus.from)
  const context = Math.max(CONTEXT, length / 4)
  let scale = 1
  while ((length + 2 * context) / scale > COLUMNS) scale *= 2
  const unit = Math.max(8, scale)
  const start = Math.max(0, Math.floor((focus.from - context) / unit) * unit)
  const columns = Math.ceil((focus.to + context - start) / scale)
  const letters = new Map<number, string>()
  let cells = ''
  let marks = ''
  for (let column = 0; column < columns; column++) {
    const from = start + column * scale
    const to = from + scale
    cells += cellAt(ledger, bounds, from, to, letters)
    marks += to > focus.from && from < focus.to ? '^' : ' '
  }
  const gutter = String(start).length
  return [
    `${start} |${cells}| ${start + columns * scale}   ` +
      `${scale === 1 ? '1 byte' : `${scale} bytes`} a column`,
    `${' '.repeat(gutter)} |${marks}| ${focus.label}`,
    ...[...letters].map(([id, letter]) => `${letter.padStart(gutter)}  ${ledger.nameOf(id)}`),
    ...legend(cells, gutter)
  ]
}

function cellAt(
  ledger: Ledger,
  bounds: { low: number; high: number },
  from: number,
  to: number,
  letters: Map<number, string>
): string {
  const id = ledger.ownerWithin(from, to)
  if (id === -1) return from >= bounds.high || to <= bounds.low ? '~' : '.'
  let letter = letters.get(id)
  if (letter === undefined) {
    letter = LETTERS[letters.size % LETTERS.length] ?? '?'
    letters.set(id, letter)
  }
  return letter
}

function legend(cells: string, gutter: number): string[] {
  const lines: string[] = []
  if (cells.includes('.'))
    lines.push(`${'.'.padStart(gutter)}  no payload: headers, footers, free blocks`)
  if (cells.includes('~')) lines.push(`${'~'.padStart(gutter)}  outside the heap`)
  return lines
}
