/** A terminal that remembers what was written to it. */

import { Writable } from 'node:stream'
import type { Io } from '../../lib/cli/io.js'
import { run } from '../../lib/cli/program.js'

class Memory extends Writable {
  text = ''
  override _write(chunk: unknown, _encoding: string, done: () => void): void {
    this.text += String(chunk)
    done()
  }
}

/** Runs the command in this process. */
export async function offheap(
  args: readonly string[],
  options: Partial<Omit<Io, 'out' | 'err'>> = {}
) {
  const out = new Memory()
  const err = new Memory()
  const code = await run(args, {
    out,
    err,
    width: 80,
    color: false,
    ascii: false,
    interactive: false,
    ...options
  })
  return { code, out: out.text, err: err.text }
}
