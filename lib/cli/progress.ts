/** The progress bar of long operations: on stderr, and only on a terminal. */

import type { Io } from './io.js'

export interface Progress {
  /** Shows the progress, from 0 to `total`, and the current step. */
  update(done: number, what: string): void
  /** Clears the bar. */
  stop(): void
}

/** The length of the bar in cells. */
const CELLS = 30
/** Moves to the first column and clears the line: CR and EL of ECMA-48. */
const CLEAR = '\r\u001b[K'

/** Starts a progress bar that ends at `total`. */
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
