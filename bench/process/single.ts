/**
 * Work that a process does once: the cost of a million live blocks for the garbage collector, and
 * the cost of pages that were never touched.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { contenderOf } from '../contenders/contenders.js'
import { openNativeFor } from '../contenders/native.js'
import { openSubject } from '../contenders/open.js'
import type { Subject } from '../contenders/subject.js'
import { freeAll } from '../work/replay.js'
import { randomSource } from '../work/synthetic.js'
import type { FreshWork, GcWork, SingleWork } from '../work/work.js'
import type { Facts } from './entry.js'

const BLOCK_BYTES = 1024
const PAGE_BYTES = 4096

async function collected<P>(
  { allocator, table: makeTable }: Subject<P>,
  { live }: GcWork
): Promise<Facts> {
  const pauses: number[] = []
  const observer = new PerformanceObserver(list => {
    for (const entry of list.getEntries()) pauses.push(entry.duration)
  })
  observer.observe({ entryTypes: ['gc'] })
  const random = randomSource(live)
  const table = makeTable(live)
  const before = performance.now()
  for (let slot = 0; slot < live; slot++) table[slot] = allocator.malloc(BLOCK_BYTES)
  for (let i = 0; i < live; i++) {
    const slot = random(live)
    allocator.free(table[slot])
    table[slot] = allocator.malloc(BLOCK_BYTES)
  }
  const totalMs = performance.now() - before
  // The entries are delivered on a later turn of the event loop.
  await setTimeout(20)
  observer.disconnect()
  const gcMs = pauses.reduce((sum, pause) => sum + pause, 0)
  return { totalMs, gcMs, worstPauseMs: Math.max(0, ...pauses), collections: pauses.length }
}

function touchPages<P>(
  { allocator, bytes }: Subject<P>,
  { size, count }: FreshWork,
  table: P[]
): number {
  const before = performance.now()
  for (let i = 0; i < count; i++) {
    const block = allocator.malloc(size)
    const view = bytes(block, size)
    if (view === undefined) throw new Error('there are no pages to touch')
    for (let offset = 0; offset < size; offset += PAGE_BYTES) view[offset] = 1
    table[i] = block
  }
  return ((performance.now() - before) * 1e6) / (count * (size / PAGE_BYTES))
}

function touched<P>(subject: Subject<P>, work: FreshWork): Facts {
  const table = new Array<P>(work.count).fill(subject.none)
  const fresh = touchPages(subject, work, table)
  freeAll(subject.allocator, Int32Array.from(table.keys()), table, subject.none)
  return { fresh, warm: touchPages(subject, work, table) }
}

function touchedNatively(id: string, { size, count }: FreshWork): Facts {
  const native = openNativeFor(id)
  const pages = count * (size / PAGE_BYTES)
  const fresh = native.touch(size, count) / pages
  native.release()
  return { fresh, warm: native.touch(size, count) / pages }
}

/** Does the work. `Facts` describes the figures. */
export async function single(contender: string, work: SingleWork): Promise<Facts> {
  if (work.kind === 'fresh') {
    if (contenderOf(contender).loop === 'c++') return touchedNatively(contender, work)
    const subject = await openSubject(contender, 2 * work.size * work.count)
    return 'pointers' in subject ? touched(subject.pointers, work) : touched(subject.buffers, work)
  }
  const subject = await openSubject(contender, 1.5 * BLOCK_BYTES * work.live)
  return 'pointers' in subject
    ? collected(subject.pointers, work)
    : collected(subject.buffers, work)
}
