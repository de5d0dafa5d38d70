/** The progress bar of long work: on stderr, and only while somebody looks at it. */

import type { Io } from './io.js'

export interface Progress {
  /** How far the work is, 0 … `total`, and what is being done. */
  update(done: number, what: string): void
  /** Clears the bar away. */
  stop(): void
}

/** A bar that ends at `total`. */
export async function startProgress(io: Io, total: number): Promise<Progress> {
  if (!io.interactive) return { update() {}, stop() {} }
  const { SingleBar } = await import('cli-progress')
  const bar = new SingleBar({
    format: '{bar} {percentage} %  {what}',
    barCompleteChar: io.ascii ? '#' : '█',
    barIncompleteChar: io.ascii ? '.' : '░',
    barsize: 30,
    stream: io.err,
    clearOnComplete: true,
    // Ctrl-C must end the process at once, in the middle of a replay, and must not leave the cursor hidden.
    gracefulExit: false,
    hideCursor: false
  })
  bar.start(total, 0, { what: '' })
  return {
    update: (done, what) => bar.update(done, { what }),
    stop: () => bar.stop()
  }
}
