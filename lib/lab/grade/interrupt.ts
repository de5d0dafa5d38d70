/** What a signal that ends this process must not leave behind: temporary folders, processes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Calls `clean` when a signal is about to end this process. Returns a function that removes the
 * handlers.
 */
export function onInterrupt(clean: () => void): () => void {
  const drop = () => {
    for (const signal of SIGNALS) process.off(signal, end)
  }
  const end = (signal: NodeJS.Signals) => {
    drop()
    clean()
    // While there are other handlers, this calls nothing: the last one ends the process.
    process.kill(process.pid, signal)
  }
  for (const signal of SIGNALS) process.on(signal, end)
  return drop
}

export interface TemporaryFolder {
  readonly path: string
  /** Deletes the folder with its files. */
  remove(): void
}

/** Creates a folder that is deleted by `remove`, and if a signal ends this process before. */
export function temporaryFolder(): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), 'offheap-lab-'))
  const clean = () => rmSync(path, { recursive: true, force: true })
  const drop = onInterrupt(clean)
  return {
    path,
    remove: () => {
      drop()
      clean()
    }
  }
}
