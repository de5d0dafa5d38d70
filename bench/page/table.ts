/** Tables of docs/: those of benchmarks.md, and the one between markers in another page. */
import { readFileSync, writeFileSync } from 'node:fs'

export interface Table {
  readonly head: readonly string[]
  /** The first cell of each row is its name; numbers are aligned to the right. */
  readonly rows: readonly (readonly string[])[]
  readonly note: string
}

export function markdown({ head, rows, note }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const rule = head.map((_, i) => (i === 0 ? '---' : '---:'))
  return [line(head), line(rule), ...rows.map(line), '', note].join('\n')
}

const BEGIN = /<!-- table: .* -->\n/
const END = '<!-- end of table -->'

/** Replaces the table between the markers of a page. Throws if it has none. */
export function replaceTable(path: string, table: Table): void {
  const text = readFileSync(path, 'utf8')
  const begin = BEGIN.exec(text)
  const end = text.indexOf(END)
  if (begin === null || end < begin.index) throw new Error(`${path} has no markers for a table`)
  const head = text.slice(0, begin.index + begin[0].length)
  writeFileSync(path, `${head}\n${markdown(table)}\n\n${text.slice(end)}`)
}
