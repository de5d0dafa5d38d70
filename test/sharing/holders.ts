/** Starts and kills processes that work on a shared heap file (ledger.mjs). */
import { type ChildProcess, spawn } from 'node:child_process'
import { on, once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished } from 'vitest'
import type { Compiled } from '../memory/compiled.js'

const SCRIPT = fileURLToPath(new URL('ledger.mjs', import.meta.url))

/** Starts a process on the file, and waits until it has begun to work. */
export async function launch(
  compiled: Compiled,
  path: string,
  ...args: string[]
): Promise<ChildProcess> {
  const child = spawn(process.execPath, [SCRIPT, compiled.heap, path, ...args], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  // The process never ends by itself: kill it even if the test fails.
  onTestFinished(() => void child.kill('SIGKILL'))
  for await (const text of on(child.stdout, 'data', { close: ['end'] }))
    if (String(text).includes('ready')) break
  return child
}

export async function kill(child: ChildProcess): Promise<void> {
  expect(child.exitCode).toBeNull()
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
  expect(child.signalCode).toBe('SIGKILL')
}
