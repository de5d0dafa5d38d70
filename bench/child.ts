/** The process that measures one contender at one piece of work, round by round, as its parent asks. */
import { readTrace } from '#lib/trace/read.js'
import { type Columns, churn, fragmented, fromTrace, growth, leftovers, peakPayload } from './columns.js'
import { contenderOf } from './contenders.js'
import type { Answer, ColumnWork, Entry, Facts, PairWork, Question } from './entry.js'
import { nativeColumns, openNative, openSubject, type Subject } from './open.js'
import { freeAll, pairs, replay, zeroedPairs } from './replay.js'
import { single } from './single.js'
import { verify } from './verify.js'

/** A contender at its work. */
interface Bench {
  /** Checks the contender's work; throws when it is wrong. */
  verify(): void
  /** Does the work once: milliseconds, and how many operations that were. */
  once(): { ms: number; operations: number }
  facts(): Facts
}

/** The region that offheap maps for repeated work; a byte of it costs nothing before it is touched. */
const HEAP_BYTES = 2 ** 30
const WARM_LIMIT_MS = 1000

async function columnsOf(work: ColumnWork): Promise<Columns> {
  switch (work.kind) {
    case 'trace':
      return fromTrace(await readTrace(work.path))
    case 'churn':
      return churn(work.live, work.largest)
    case 'fragmented':
      return fragmented(work.holes)
    case 'growth':
      return growth()
  }
}

function nativeReplay(id: string, columns: Columns): Bench {
  const native = openNative(id)
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
    facts: () => ({})
  }
}

function jsReplay<P>(subject: Subject<P>, columns: Columns): Bench {
  const { allocator, none } = subject
  const { kinds, start, steady } = columns
  const left = leftovers(columns)
  const table = subject.table(columns.slotCount)
  let begun = false
  return {
    verify() {
      if (steady) freeAll(allocator, left, table, none)
      verify(subject, columns, table)
      subject.check?.()
      begun = false
    },
    once() {
      if (!begun) replay(allocator, columns, table, none, 0, start)
      begun = true
      const before = performance.now()
      replay(allocator, columns, table, none, start, kinds.length)
      const ms = performance.now() - before
      if (!steady) freeAll(allocator, left, table, none)
      return { ms, operations: kinds.length - start }
    },
    facts() {
      const highWater = subject.highWater?.()
      return highWater === undefined ? {} : { utilization: peakPayload(columns) / highWater }
    }
  }
}

/** How many pairs one call makes: it should last about a millisecond, whatever the size. */
function pairCount(size: number): number {
  return Math.max(1, Math.min(20_000, Math.floor(2 ** 26 / size)))
}

function nativePairs(id: string, { size, cleared }: PairWork): Bench {
  const count = pairCount(size)
  const native = openNative(id)
  return {
    verify() {},
    once: () => ({ ms: native.pairs(size, count, cleared) / 1e6, operations: count }),
    facts: () => ({})
  }
}

function jsPairs<P>(subject: Subject<P>, { size, cleared }: PairWork): Bench {
  const count = pairCount(size)
  const { allocator } = subject
  return {
    verify() {
      const block = cleared ? allocator.calloc(1, size) : allocator.malloc(size)
      const bytes = subject.bytes(block, size)
      if (bytes !== undefined && bytes.length < size) throw new Error(`${bytes.length} bytes instead of ${size}`)
      bytes?.fill(255)
      allocator.free(block)
      const again = cleared ? allocator.calloc(1, size) : allocator.malloc(size)
      if (cleared && subject.bytes(again, size)?.some(byte => byte !== 0)) throw new Error('the bytes are not cleared')
      allocator.free(again)
      subject.check?.()
    },
    once() {
      const before = performance.now()
      if (cleared) zeroedPairs(allocator, size, count)
      else pairs(allocator, size, count)
      return { ms: performance.now() - before, operations: count }
    },
    facts: () => ({})
  }
}

async function open(contender: string, work: ColumnWork | PairWork): Promise<Bench> {
  const isNative = contenderOf(contender).loop === 'c++'
  if (work.kind === 'pairs') {
    if (isNative) return nativePairs(contender, work)
    const subject = await openSubject(contender, HEAP_BYTES)
    return 'pointers' in subject ? jsPairs(subject.pointers, work) : jsPairs(subject.buffers, work)
  }
  const columns = await columnsOf(work)
  if (isNative) return nativeReplay(contender, columns)
  const subject = await openSubject(contender, HEAP_BYTES)
  return 'pointers' in subject ? jsReplay(subject.pointers, columns) : jsReplay(subject.buffers, columns)
}

/** Nanoseconds per operation, over whole repetitions of the work that last at least `least` milliseconds together. */
function sample(bench: Bench, least: number): number {
  let ms = 0
  let operations = 0
  while (ms < least) {
    const once = bench.once()
    ms += once.ms
    operations += once.operations
  }
  return (ms * 1e6) / operations
}

function warm(bench: Bench, least: number): void {
  const limit = performance.now() + WARM_LIMIT_MS
  let operations = 0
  while (operations < least && performance.now() < limit) operations += bench.once().operations
}

function tell(answer: Answer): void {
  process.send?.(answer)
}

async function serve(entry: Entry): Promise<void> {
  const { work } = entry
  if (work.kind === 'gc' || work.kind === 'fresh')
    return tell({ ready: true, facts: await single(entry.contender, work) })
  const bench = await open(entry.contender, work)
  const first = bench.once()
  const facts = { ...bench.facts(), cold: (first.ms * 1e6) / first.operations }
  if (!entry.once) {
    bench.verify()
    warm(bench, entry.warmOperations)
    process.on('message', (question: Question) => tell({ ns: sample(bench, question.sampleMs) }))
  }
  tell({ ready: true, facts })
}

process.once('message', (entry: Entry) => {
  serve(entry).catch((error: unknown) => {
    tell({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  })
})
