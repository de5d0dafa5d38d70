import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const addon = fileURLToPath(new URL('../../build/Release/offheap.node', import.meta.url))
const script = fileURLToPath(new URL('confine.mjs', import.meta.url))

it.runIf(process.platform === 'linux')(
  "a confined process can't open or change files, start processes or kill any",
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'offheap-test-'))
    const victim = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000000)'], {
      detached: true
    })
    try {
      const file = join(folder, 'trace')
      writeFileSync(file, 'untouched')
      const { stdout, stderr } = spawnSync(
        process.execPath,
        [script, addon, file, String(victim.pid)],
        {
          encoding: 'utf8'
        }
      )
      const [first = '', second = ''] = stdout.trim().split('\n')
      expect(stderr).toBe('')
      const { force, said } = JSON.parse(first)
      expect(force).toBe(7)
      const refused = new Set(['EPERM', 'EMFILE'])
      const results: [string, string][] = said
      expect(results.filter(([name, code]) => name !== 'compute' && !refused.has(code))).toEqual([])
      expect(results.at(-1)).toEqual(['compute', 'done'])
      expect(refused).toContain(JSON.parse(second))
      expect(readFileSync(file, 'utf8')).toBe('untouched')
      expect(victim.exitCode ?? victim.signalCode).toBeNull()
    } finally {
      victim.kill()
      rmSync(folder, { recursive: true, force: true })
    }
  }
)
