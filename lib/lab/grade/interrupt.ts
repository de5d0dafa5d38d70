/** Cleans up when a signal ends the program. */

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Calls `clean` when a signal is about to end this process, which it then does. Returns a function
 * that takes the handlers away again.
 */
export function onInterrupt(clean: () => void): () => void {
  const drop = () => {
    for (const signal of SIGNALS) process.off(signal, end)
  }
  const end = (signal: NodeJS.Signals) => {
    drop()
    clean()
    process.kill(process.pid, signal)
  }
  for (const signal of SIGNALS) process.on(signal, end)
  return drop
}
