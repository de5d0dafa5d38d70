/**
 * The program that runs under valgrind (test/native/leaks.mjs). It makes every call of the addon,
 * valid and invalid, on the main thread and in workers that end in every way, and ends regions in
 * every way. One region is still open when the process ends.
 */
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

const addon = createRequire(import.meta.url)('../../build/Release/offheap.node')
const page = addon.pageSize
const rounds = 20
let kept

function expectError(call) {
  try {
    call()
  } catch {
    return
  }
  throw new Error(`no error: ${call}`)
}

function map(pages, { guard = true, hugePages = false, populate = false, lock = false } = {}) {
  return addon.map(pages * page, guard, hugePages, populate, lock)
}

function use({ handle, buffer }) {
  const bytes = new Uint8Array(buffer)
  bytes.fill(1)
  addon.protect(handle, buffer, 0, page, 0)
  addon.protect(handle, buffer, page, page, 1)
  addon.protect(handle, buffer, page, page, 2)
  bytes[7] = 2
  if (addon.faults(handle, buffer)[0] !== 7) throw new Error('the fault at byte 7 was lost')
  addon.residentBytes(handle, buffer)
  addon.decommit(handle, buffer, 0, 2 * page)
  addon.lockLimit()
}

function misuse({ handle, buffer }) {
  expectError(() => addon.map(0, true, false, false, false))
  expectError(() => addon.map(2 ** 52, true, false, false, false))
  expectError(() => addon.map('1'))
  expectError(() => addon.close({}, buffer))
  expectError(() => addon.close(handle, new ArrayBuffer(8)))
  expectError(() => addon.protect(handle, buffer, 1, page, 0))
  expectError(() => addon.protect(handle, buffer, 0, page, 7))
  expectError(() => addon.decommit(handle, buffer, 0, 2 ** 40))
}

function live() {
  for (const options of [
    {},
    { guard: false },
    { hugePages: true },
    { populate: true },
    { lock: true }
  ]) {
    const region = map(options.hugePages ? 1024 : 4, options)
    if (!options.lock) use(region)
    misuse(region)
    addon.close(region.handle, region.buffer)
    addon.close(region.handle, region.buffer)
    expectError(() => addon.faults(region.handle, region.buffer))
  }
  map(4)
  use(map(4))
  if ('transfer' in ArrayBuffer.prototype) {
    const region = map(4)
    const moved = region.buffer.transfer()
    addon.close(region.handle, region.buffer)
    new Uint8Array(moved)[0] = 1
  }
}

async function settle() {
  for (let turn = 0; turn < 10; turn++) {
    globalThis.gc()
    await new Promise(resolve => setImmediate(resolve))
  }
}

async function main() {
  for (let round = 0; round < rounds; round++) live()
  await settle()
  for (const end of ['return', 'exit', 'open', 'collect', 'terminate']) {
    const worker = new Worker(new URL(import.meta.url), { workerData: end })
    const exit = once(worker, 'exit')
    if (end === 'terminate') {
      await once(worker, 'message')
      await worker.terminate()
    }
    await exit
  }
  await settle()
  kept = map(4)
  use(kept)
  console.log('done')
}

function work(end) {
  for (let round = 0; round < rounds; round++) live()
  if (end === 'return') return
  kept = map(4)
  use(kept)
  if (end === 'exit') process.exit()
  if (end === 'collect') {
    globalThis.gc()
    process.exit()
  }
  parentPort.postMessage('begun')
  // The main thread terminates this worker while the addon is idle. The endurance test terminates
  // workers during calls.
  if (end === 'terminate') setInterval(() => {}, 1000)
}

if (isMainThread) await main()
else work(workerData)
