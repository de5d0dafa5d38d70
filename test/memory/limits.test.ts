/** Error messages in a process with limited resources. */
import { spawnSync } from 'node:child_process'
import { constants as os } from 'node:os'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Compiled, compile } from './compiled.js'
import { onLinux, underAsan } from './maps.js'

const { errno } = os

describe('limits of the process', () => {
  let compiled: Compiled
  beforeAll(() => {
    compiled = compile()
  })
  afterAll(() => compiled.remove())

  const report = `
    try {
      const region = Region.map(options)
      console.log(JSON.stringify({ resident: region.residentBytes() }))
    } catch (error) {
      console.log(JSON.stringify({ ...error, message: error.message }))
    }`

  test.runIf(onLinux)(
    'locking more than RLIMIT_MEMLOCK throws, and names the limit',
    ({ skip }) => {
      if (underAsan) skip(underAsan)
      const unprivileged = ['setpriv', '--inh-caps=-ipc_lock', '--bounding-set=-ipc_lock', '--']
      const drop = process.getuid?.() === 0 ? unprivileged : []
      const limited = [...drop, 'prlimit', '--memlock=65536:65536']
      const [command = '', ...words] = limited
      if (spawnSync(command, [...words, 'true']).status !== 0)
        skip('setpriv or prlimit, which lower the limit, is not installed')

      // V8 itself may add a few mappings meanwhile, so repeat the failure a hundred times.
      const refused = compiled.run(
        `import { readFileSync } from 'node:fs'
       const maps = () => readFileSync('/proc/self/maps', 'utf8').split('\\n').length
       const options = { size: 1048576, lock: true }
       ${report}
       const start = maps()
       for (let left = 100; left > 0; left--) {
         try { Region.map(options) } catch {}
       }
       console.log(maps() - start)`,
        limited
      )
      const [error = '', growth] = refused.stdout.split('\n')
      expect(JSON.parse(error)).toMatchObject({
        code: 'ERR_OFFHEAP_SYSTEM',
        errno: errno.ENOMEM,
        syscall: 'mlock'
      })
      expect(JSON.parse(error).message).toMatch(/RLIMIT_MEMLOCK.* 64 KiB /)
      expect(Number(growth)).toBeLessThan(50)

      const granted = compiled.run(`const options = { size: 8192, lock: true } ${report}`, limited)
      expect(JSON.parse(granted.stdout)).toEqual({ resident: 8192 })
    }
  )

  test.runIf(onLinux)('mapping more than RLIMIT_AS throws, with errno and syscall', ({ skip }) => {
    if (underAsan) skip(underAsan)
    if (spawnSync('prlimit', ['--version']).status !== 0)
      skip('prlimit, which lowers the limit, is not installed')
    const body = `
      import { execFileSync } from 'node:child_process'
      import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
      const status = readFileSync('/proc/self/status', 'utf8')
      const used = Number(/VmSize:\\s+(\\d+)/.exec(status)[1]) * 1024
      Region.map(1).close()
      execFileSync('prlimit', ['--pid', String(process.pid), '--as=' + (used + 2 ** 30)])
      const options = 2 ** 32 ${report}`
    const { stdout } = compiled.run(body)
    expect(JSON.parse(stdout)).toMatchObject({
      code: 'ERR_OFFHEAP_SYSTEM',
      errno: errno.ENOMEM,
      syscall: 'mmap'
    })
    expect(JSON.parse(stdout).message).toContain('refused to map 4 GiB (mmap: ENOMEM)')
  })
})
