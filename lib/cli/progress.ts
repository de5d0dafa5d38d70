/** The progress bar of long work: on stderr, and only while somebody looks at it. */

import type { Io } from './io.js'

export interface Progress {
  /** Shows how far the work is, from 0 to `total`, and what is being done. */
  update(done: number, what: string): void
  /** Clears the bar away. */
  stop(): void
}

/** Cells of the bar. */
const CELLS = 30
/** To the first column, and clear the line: ECMA-48, CR and EL. */
const CLEAR = '\r\u001b[K'

/** Starts a bar that ends at `total`. */
export function startProgress(
  io: Pick<Io, 'err' | 'interactive' | 'ascii' | 'width'>,
  total: number
): Progress {
  if (!io.interactive) return { update() {}, stop() {} }
  const [full, empty] = io.ascii ? ['#', '.'] : ['█', '░']
  let shown = ''
  return {
    update(done, what) {
      const share = total === 0 ? 1 : Math.min(1, Math.max(0, done / total))
      const cells = Math.floor(share * CELLS)
      const bar = full.repeat(cells) + empty.repeat(CELLS - cells)
      // A longer line would wrap, and could not be cleared.
      const line = `${bar} ${Math.floor(share * 100)} %  ${what}`.slice(0, io.width - 1)
      if (line !== shown) io.err.write(CLEAR + line)
      shown = line
    },
    stop() {
      if (shown !== '') io.err.write(CLEAR)
      shown = ''
    }
  }
}
