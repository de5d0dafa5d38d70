/** A table of docs/benchmarks.md. */

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
