import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { benchCommand } from '../../lib/cli/bench.js'

describe('offheap bench', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'offheap-bench-test-'))
  })
  afterEach(() => {
    rmSync(folder, { recursive: true })
    process.exitCode = undefined
  })

  it('hands every option over, --help too, and takes the exit code back', async () => {
    const program = join(folder, 'program.mjs')
    const said = join(folder, 'said.json')
    writeFileSync(
      program,
      `import { writeFileSync } from 'node:fs'
      writeFileSync(${JSON.stringify(said)}, JSON.stringify(process.argv.slice(2)))
      process.exit(3)`
    )
    await benchCommand(program).parseAsync(['--only', 'hot', 'gc', '--help'], { from: 'user' })
    expect(JSON.parse(readFileSync(said, 'utf8'))).toEqual(['--only', 'hot', 'gc', '--help'])
    expect(process.exitCode).toBe(3)
  })

  it('says what to run when the benchmark is not compiled', async () => {
    const missing = join(folder, 'missing.js')
    await expect(benchCommand(missing).parseAsync(['--quick'], { from: 'user' })).rejects.toThrow(
      /there is no .*missing\.js.*npm run build:bench/
    )
  })
})
