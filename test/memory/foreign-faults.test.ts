/**
 * Faults that the handler of protected pages must pass on to other handlers or to the system. Each
 * test runs in a separate process.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Compiled, compile } from './compiled.js'
import { onLinux } from './maps.js'

let compiled: Compiled
beforeAll(() => {
  compiled = compile()
})
afterAll(() => compiled.remove())

describe('faults outside regions', () => {
  const protectedRegion = `
    const region = Region.map(1e6)
    region.protect(0, region.pageSize, 'none')
    new Uint8Array(region.buffer)[1] = 1
    console.log(region.faults())`

  // (module (memory 1) (func (export "load") (param i32) (result i32) local.get 0 i32.load))
  const wasm = `
    const wasm = new Uint8Array([
      0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 3, 2, 1, 0, 5, 3, 1, 0, 1,
      7, 8, 1, 4, 108, 111, 97, 100, 0, 0, 10, 9, 1, 7, 0, 32, 0, 40, 2, 0, 11
    ])
    const { load } = new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports
    const trap = () => {
      try {
        load(-1)
        return 'nothing'
      } catch (error) {
        return error instanceof WebAssembly.RuntimeError && error.message
      }
    }`

  test('still make WebAssembly trap', () => {
    const { stdout, status } = compiled.run(`${wasm}
      const before = trap()
      ${protectedRegion}
      for (let count = 0; count < 100; count++) if (trap() !== before) console.log('lost')
      console.log(before, load(0))
      new Uint8Array(region.buffer)[2] = 1
      console.log(region.faults())`)
    expect(stdout.split('\n')).toEqual(['[ 1 ]', 'memory access out of bounds 0', '[]', ''])
    expect(status).toBe(0)
  })

  test('still make WebAssembly trap after the only worker with the addon has ended', () => {
    const { stdout, status } = compiled.run(`
      import { Worker } from 'node:worker_threads'
      import { once } from 'node:events'
      ${wasm}
      const before = trap()
      const code = \`
        const { parentPort, workerData } = require('node:worker_threads')
        import(workerData).then(({ Region }) => {
          const region = Region.map(1e6)
          region.protect(0, region.pageSize, 'none')
          new Uint8Array(region.buffer)[1] = 1
          parentPort.postMessage(region.faults())
        })\`
      const workerData = ${JSON.stringify(compiled.region)}
      const worker = new Worker(code, { eval: true, workerData })
      const exit = once(worker, 'exit')
      console.log((await once(worker, 'message'))[0])
      await exit
      console.log(before, trap() === before)`)
    expect(stdout.split('\n')).toEqual(['[ 1 ]', 'memory access out of bounds true', ''])
    expect(status).toBe(0)
  })

  test('do not mix up those of several workers at the same time', () => {
    const { stdout, status } = compiled.run(`
      import { Worker } from 'node:worker_threads'
      import { once } from 'node:events'
      const code = \`
        const { parentPort, workerData } = require('node:worker_threads')
        import(workerData).then(({ Region }) => {
          let told = 0
          for (let round = 0; round < 200; round++) {
            const region = Region.map(32 * 4096 * 4)
            const { pageSize } = region
            const bytes = new Uint8Array(region.buffer).fill(1)
            region.protect(0, region.byteLength, round % 2 ? 'none' : 'read')
            for (let offset = 0; offset < bytes.length; offset += pageSize) bytes[offset] = 2
            const faults = region.faults()
            const isRight = faults.every((offset, index) => offset === index * pageSize)
            if (isRight) told += faults.length * pageSize
            region.close()
          }
          parentPort.postMessage(told)
        })\`
      const workerData = ${JSON.stringify(compiled.region)}
      const workers = [1, 2, 3, 4].map(() => new Worker(code, { eval: true, workerData }))
      const messages = workers.map(worker => once(worker, 'message'))
      const told = (await Promise.all(messages)).map(([count]) => count)
      console.log(JSON.stringify(told))`)
    expect(JSON.parse(stdout)).toEqual(Array.from({ length: 4 }, () => 200 * 32 * 4096 * 4))
    expect(status).toBe(0)
  })

  // Without V8's handler, no other one is installed, and the default action follows ours.
  const handlers: [string, string[]][] = [
    ['with the handler of V8', []],
    ['without another handler', ['env', 'NODE_OPTIONS=--disable-wasm-trap-handler']]
  ]

  test.each(handlers)('sent by kill() still end the process, %s', (_, prefix) => {
    const body = `${protectedRegion}
      process.kill(process.pid, 'SIGSEGV')
      setInterval(() => {}, 1000)`
    const { stdout, signal } = compiled.run(body, prefix)
    expect(stdout).toBe('[ 1 ]\n')
    expect(signal).toBe('SIGSEGV')
  })

  test('sent by kill() still reach a listener for SIGSEGV', () => {
    const { stdout, status } = compiled.run(`
      process.once('SIGSEGV', () => { console.log('heard'); clearInterval(timer) })
      const timer = setInterval(() => {}, 1000)
      ${protectedRegion}
      process.kill(process.pid, 'SIGSEGV')`)
    expect({ stdout, status }).toEqual({ stdout: '[ 1 ]\nheard\n', status: 0 })
  })

  test.each(handlers)('by a wild pointer in native code still end the process, %s', (_, prefix) => {
    const library = libraryThat('*(volatile int *)8 = 1;')
    const { stdout, signal, stderr } = compiled.run(
      `import { createRequire } from 'node:module'
      ${protectedRegion}
      try { createRequire(import.meta.url)(${JSON.stringify(library)}) } catch {}
      console.log('survived')`,
      prefix
    )
    expect({ stdout, stderr, signal }).toEqual({ stdout: '[ 1 ]\n', stderr: '', signal: 'SIGSEGV' })
  })

  test('on a guard page still end the process when native code overruns a region', () => {
    const library = libraryThat('*(volatile char *)strtoull(getenv("OVERRUN"), 0, 10) = 1;')
    const { stdout, signal } = compiled.run(`
      import { createRequire } from 'node:module'
      ${protectedRegion}
      process.env.OVERRUN = String(region.address + BigInt(region.byteLength))
      try { createRequire(import.meta.url)(${JSON.stringify(library)}) } catch {}
      console.log('survived')`)
    expect({ stdout, signal }).toEqual({
      stdout: '[ 1 ]\n',
      signal: onLinux ? 'SIGSEGV' : 'SIGBUS'
    })
  })

  /** Builds a library that runs a C statement when it is loaded. */
  function libraryThat(does: string): string {
    const [source, library] = [
      join(compiled.folder, 'library.c'),
      join(compiled.folder, 'library.node')
    ]
    writeFileSync(
      source,
      `#include <stdlib.h>\n__attribute__((constructor)) static void run(void) { ${does} }\n`
    )
    execFileSync('cc', ['-shared', '-fPIC', '-o', library, source])
    return library
  }
})
