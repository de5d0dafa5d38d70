/** The progress of a run: a bar on a terminal; elsewhere, as in a log, a line every few seconds. */
import { startProgress as startBar } from '#lib/cli/progress.js'

export interface Progress {
  step(what: string): void
  stop(): void
}

/** Least time between two lines. */
const LINE_MS = 5000

function lines(name: string, total: number): Progress {
  const began = Date.now()
  let last = began
  let steps = 0
  process.stderr.write(`${name} …\n`)
  return {
    step(what) {
      steps++
      if (Date.now() - last < LINE_MS) return
      last = Date.now()
      const seconds = Math.round((last - began) / 1000)
      const share = total === 0 ? '' : `, ${Math.floor((steps / total) * 100)} %`
      process.stderr.write(`${name}: ${seconds} s${share}, ${what}\n`)
    },
    stop() {}
  }
}

/**
 * Starts a bar on a terminal, or lines elsewhere. `total`: the number of steps; 0 if it is unknown.
 */
export function startProgress(name: string, total: number): Progress {
  const { stderr } = process
  if (!stderr.isTTY) return lines(name, total)
  const bar = startBar(
    { err: stderr, interactive: true, ascii: false, width: stderr.columns },
    total || Infinity
  )
  let steps = 0
  return {
    step: what => bar.update(++steps, `${name}: ${what}`),
    stop: () => bar.stop()
  }
}
