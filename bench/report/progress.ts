/** How far a run is: a bar on a terminal; elsewhere, such as in a log, a line every few seconds. */
import { SingleBar } from 'cli-progress'

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

/** `total`: how many steps there will be; 0 when nobody knows. */
export function startProgress(name: string, total: number): Progress {
  if (!process.stderr.isTTY) return lines(name, total)
  const format =
    total === 0
      ? `${name}: {duration_formatted} | {what}`
      : `${name} {bar} {percentage} % | {eta_formatted} left | {what}`
  const bar = new SingleBar({ format, clearOnComplete: true })
  bar.start(total === 0 ? 1 : total, 0, { what: '' })
  return {
    step: what => (total === 0 ? bar.update(0, { what }) : bar.increment(1, { what })),
    stop: () => bar.stop()
  }
}
