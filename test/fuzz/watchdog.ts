/**
 * Ends this process when it takes much too long: no timer of a process runs during a call that does not end, so another
 * process looks after it.
 */
import { type ChildProcess, spawn } from 'node:child_process'

export function startWatchdog(seconds: number): ChildProcess {
  const script = `
    process.stdin.resume().on('end', () => process.exit())
    setTimeout(() => { console.error('a call hangs'); process.kill(${process.pid}, 'SIGKILL') }, ${seconds * 1000})`
  return spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'ignore', 'inherit'] })
}
