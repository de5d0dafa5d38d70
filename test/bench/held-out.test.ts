import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const script = fileURLToPath(new URL('../../bench/held-out.js', import.meta.url))

it('bench/held-out.js requires an empty folder, so that all of its recordings are new', () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' })
  expect(run()).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('Say where to put the recordings')
  })
  const folder = mkdtempSync(join(tmpdir(), 'offheap-held-out-'))
  try {
    writeFileSync(join(folder, 'old.rep'), '')
    expect(run(folder)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('has recordings already')
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
})
