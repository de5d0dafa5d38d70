/** A contender and its work, in whichever loop. */
import { readTrace } from '#lib/trace/read.js'
import { contenderOf } from '../contenders/contenders.js'
import { type Native, nativeColumns, openNative, openNativeFor } from '../contenders/native.js'
import { openSubject } from '../contenders/open.js'
import type { Subject } from '../contenders/subject.js'
import { fromTrace, leftovers, neededBytes, peakPayload } from '../work/columns.js'
import type { Columns } from '../work/replay.js'
import { freeAll, pairs, replay, zeroedPairs } from '../work/replay.js'
import { synthetic } from '../work/synthetic.js'
import type { ColumnWork, PairWork } from '../work/work.js'
import type { Clock, Facts } from './entry.js'
import { verify } from './verify.js'

export interface Bench {
  /** Verifies the contender's work; throws if it is wrong. */
  verify(): void
  /** Does the work once. Returns its time and its number of operations. */
  once(): { ms: number; operations: number }
  /** The facts of the first run, besides its time. */
  facts(): Facts
  /** The facts of a warm run. */
  warmFacts?(): Facts
}

/** Milliseconds since some moment. */
type Now = () => number

/** The size of the heap for repeated work. Bytes that are not touched cost nothing. */
const HEAP_BYTES = 2 ** 30

function clockOf(clock: Clock): Now {
  if (clock === 'wall') return () => performance.now()
  const native = openNative()
  return () => native.cpuTime() / 1e6
}

async function columnsOf(work: ColumnWork): Promise<Columns> {
  return work.kind === 'trace' ? fromTrace(await readTrace(work.path)) : synthetic(work)
}

/** Random work is uniform, so verifying this many operations is enough. */
const VERIFIED = 20_000

function verifiedPart(columns: Columns): Columns {
  if (!columns.steady) return columns
  const { kinds, slots, sizes, extras } = columns
  const end = columns.start + VERIFIED
  return {
    ...columns,
    kinds: kinds.subarray(0, end),
    slots: slots.subarray(0, end),
    sizes: sizes.subarray(0, end),
    extras: extras.subarray(0, end)
  }
}

function nativeReplay(native: Native, columns: Columns): Bench {
  const given = nativeColumns(columns)
  const { kinds, start, steady, slotCount } = columns
  const left = leftovers(columns)
  let begun = false
  const begin = () => {
    native.prepare(slotCount)
    native.replay(...given, 0, start)
    begun = true
  }
  return {
    verify() {
      native.freeSlots(left)
      native.prepare(slotCount)
      const problem = native.verify(...given, kinds.length)
      if (problem !== '') throw new Error(`${columns.name}, ${problem}`)
      begun = false
    },
    once() {
      if (!begun) begin()
      const ms = native.replay(...given, start, kinds.length) / 1e6
      if (!steady) native.freeSlots(left)
      return { ms, operations: kinds.length - start }
    },
    facts: () => ({}),
    warmFacts() {
      const before = native.faults()
      const { operations } = this.once()
      return { faults: ((native.faults() - before) * 1000) / operations }
    }
  }
}

function jsReplay<P>(subject: Subject<P>, columns: Columns, now: Now): Bench {
  const { allocator, none } = subject
  const { kinds, start, steady } = columns
  const left = leftovers(columns)
  const table = subject.table(columns.slotCount)
  let begun = false
  return {
    verify() {
      if (steady) freeAll(allocator, left, table, none)
      verify(subject, verifiedPart(columns))
      subject.check?.()
      begun = false
    },
    once() {
      if (!begun) replay(allocator, columns, table, none, 0, start)
      begun = true
      const before = now()
      replay(allocator, columns, table, none, start, kinds.length)
      const ms = now() - before
      if (!steady) freeAll(allocator, left, table, none)
      return { ms, operations: kinds.length - start }
    },
    facts() {
      const most = subject.mostMemory?.()
      if (most === undefined) return {}
      return { utilization: peakPayload(columns) / most, overNeeded: most / neededBytes(columns) }
    }
  }
}

/** The number of pairs in a call, so that it takes about a millisecond for any size. */
function pairCount(size: number): number {
  return Math.max(1, Math.min(20_000, Math.floor(2 ** 26 / size)))
}

function nativePairs(native: Native, { size, cleared }: PairWork): Bench {
  const count = pairCount(size)
  return {
    verify() {},
    once: () => ({ ms: native.pairs(size, count, cleared) / 1e6, operations: count }),
    facts: () => ({})
  }
}

function jsPairs<P>(subject: Subject<P>, { size, cleared }: PairWork, now: Now): Bench {
  const count = pairCount(size)
  const { allocator } = subject
  return {
    verify() {
      const block = cleared ? allocator.calloc(1, size) : allocator.malloc(size)
      const bytes = subject.bytes(block, size)
      if (bytes !== undefined && bytes.length < size)
        throw new Error(`${bytes.length} bytes instead of ${size}`)
      bytes?.fill(255)
      allocator.free(block)
      const again = cleared ? allocator.calloc(1, size) : allocator.malloc(size)
      if (cleared && subject.bytes(again, size)?.some(byte => byte !== 0))
        throw new Error('the bytes are not cleared')
      allocator.free(again)
      subject.check?.()
    },
    once() {
      const before = now()
      if (cleared) zeroedPairs(allocator, size, count)
      else pairs(allocator, size, count)
      return { ms: now() - before, operations: count }
    },
    facts: () => ({})
  }
}

/** Opens a contender and prepares its work. */
export async function openBench(
  id: string,
  work: ColumnWork | PairWork,
  clock: Clock
): Promise<Bench> {
  const inNative = contenderOf(id).loop === 'c++'
  if (inNative) {
    const native = openNativeFor(id)
    native.useCpuTime(clock === 'cpu')
    return work.kind === 'pairs'
      ? nativePairs(native, work)
      : nativeReplay(native, await columnsOf(work))
  }
  const now = clockOf(clock)
  if (work.kind === 'pairs') {
    const subject = await openSubject(id, HEAP_BYTES)
    return 'pointers' in subject
      ? jsPairs(subject.pointers, work, now)
      : jsPairs(subject.buffers, work, now)
  }
  const columns = await columnsOf(work)
  const subject = await openSubject(id, HEAP_BYTES)
  return 'pointers' in subject
    ? jsReplay(subject.pointers, columns, now)
    : jsReplay(subject.buffers, columns, now)
}
