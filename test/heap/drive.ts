/**
 * Drives a heap and the slow model side by side: every pointer, every payload byte and every total is compared, and on small
 * heaps every invariant after every step. A sequence that fails is shrunk by fast-check and printed as a trace, which
 * `offheap replay` can run.
 */
import fc from 'fast-check'
import { Heap, type HeapOptions, Region } from '../../lib/index.js'
import { type Choice, Model } from '../model.js'
import { QuarantineModel } from './quarantine-model.js'
import { QuickModel } from './quick-model.js'

export interface Step {
  readonly kind: 'malloc' | 'calloc' | 'realloc' | 'aligned' | 'free'
  /** Bytes. */
  readonly size: number
  /** Which of the live blocks, counted modulo their number. */
  readonly which: number
  /** A power of two. */
  readonly alignment: number
}

/** A block that was not freed yet. */
interface Live {
  readonly pointer: number
  /** The bytes that it can hold. */
  readonly usable: number
  readonly id: number
}

/** Sequences of steps for a heap of `bytes` bytes. */
export function steps(bytes: number, length: number): fc.Arbitrary<Step[]> {
  const size = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 64 }) },
    { weight: 3, arbitrary: fc.integer({ min: 0, max: 1024 }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: Math.min(Math.ceil(bytes / 3), 2 ** 19) }) }
  )
  const kind = fc.oneof(
    { weight: 8, arbitrary: fc.constant<Step['kind']>('malloc') },
    { weight: 1, arbitrary: fc.constant<Step['kind']>('calloc') },
    { weight: 3, arbitrary: fc.constant<Step['kind']>('realloc') },
    { weight: 1, arbitrary: fc.constant<Step['kind']>('aligned') },
    { weight: 8, arbitrary: fc.constant<Step['kind']>('free') }
  )
  const alignment = fc.integer({ min: 0, max: 13 }).map(power => 2 ** power)
  return fc.array(fc.record({ kind, size, which: fc.nat(), alignment }), {
    minLength: 1,
    maxLength: length,
    size: 'max'
  })
}

/** Runs the steps on a new heap in `memory` and on the model. Throws with the trace so far at the first difference. */
export function drive(
  memory: ArrayBuffer | Region,
  sequence: readonly Step[],
  options: HeapOptions,
  choose?: Choice
): void {
  const heap = Heap.format(memory, options)
  const { size, metadata, top, wilderness } = heap.stats()
  const model = options.hardened
    ? new QuarantineModel(top, top + wilderness, options.quarantine ?? Math.floor(size / 256) * 16, choose)
    : (options.quickLists ?? options.placement === 'segregated-fit')
      ? new QuickModel(metadata - 4, size - 4, choose)
      : new Model(metadata - 4, size - 4, choose)
  if (model instanceof QuickModel) {
    model.largest = Math.min(1024, Math.max(16, Math.floor(size / 128 / 8) * 8))
    model.threshold = options.trimThreshold ?? Number.POSITIVE_INFINITY
    if (memory instanceof Region) {
      // As in a region that was just mapped, nothing in it was touched.
      heap.trim()
      model.pageSize = memory.pageSize
      model.giveBack()
    }
  }
  const small = size <= 2 ** 16
  const live: Live[] = []
  const trace: string[] = []
  let ids = 0

  const same = (what: string, actual: unknown, expected: unknown): void => {
    if (actual !== expected) throw new Error(`${what} is ${actual}, and should be ${expected}`)
  }
  const compare = (pointer: number, length: number): void => {
    const expected = model.contents(pointer)
    for (let i = 0; i < length; i++) same(`byte ${i} of the block at ${pointer}`, heap.u8[pointer + i], expected[i])
  }
  /** Gives every byte of a block that was asked for `bytes` a value that both sides know. Returns how many it can hold. */
  const fill = (pointer: number, bytes: number): number => {
    const contents = model.contents(pointer)
    const usable = options.hardened ? bytes : contents.length
    same(`usableSize(${pointer})`, heap.usableSize(pointer), usable)
    for (let i = 0; i < usable; i++) contents[i] = pointer + i * 7 + ids
    heap.u8.set(contents.subarray(0, usable), pointer)
    return usable
  }
  const add = (pointer: number, bytes: number): void => {
    if (pointer === 0) {
      // A request that both refuse changes nothing, and a trace has no word for it.
      trace.pop()
      return
    }
    const usable = fill(pointer, bytes)
    live.push({ pointer, usable, id: ids++ })
  }
  const take = (which: number): Live | undefined => live.splice(which % live.length, 1)[0]

  const run = ({ kind, size, which, alignment }: Step): void => {
    if (kind === 'malloc') {
      trace.push(`a ${ids} ${size}`)
      const pointer = heap.malloc(size)
      same(`malloc(${size})`, pointer, model.malloc(size))
      add(pointer, size)
    } else if (kind === 'calloc') {
      trace.push(`c ${ids} ${size} 1`)
      const pointer = heap.calloc(size, 1)
      same(`calloc(${size}, 1)`, pointer, model.calloc(size, 1))
      if (pointer !== 0) compare(pointer, size)
      add(pointer, size)
    } else if (kind === 'aligned') {
      trace.push(`m ${ids} ${alignment} ${size}`)
      const pointer = heap.alignedAlloc(alignment, size)
      same(`alignedAlloc(${alignment}, ${size})`, pointer, model.alignedAlloc(alignment, size))
      same(`${pointer} modulo ${alignment}`, pointer % alignment, 0)
      add(pointer, size)
    } else if (live.length > 0 && kind === 'realloc') {
      const block = take(which)
      if (block === undefined) return
      trace.push(`r ${block.id} ${size}`)
      const kept = Math.min(size, block.usable)
      const pointer = heap.realloc(block.pointer, size)
      same(`realloc(${block.pointer}, ${size})`, pointer, model.realloc(block.pointer, size))
      if (pointer !== 0) {
        compare(pointer, kept)
        live.push({ pointer, usable: fill(pointer, size), id: block.id })
      } else if (size !== 0) {
        trace.pop()
        compare(block.pointer, block.usable)
        live.push(block)
      }
    } else if (live.length > 0) {
      const block = take(which)
      if (block === undefined) return
      trace.push(`f ${block.id}`)
      compare(block.pointer, block.usable)
      heap.free(block.pointer)
      model.free(block.pointer)
    }
  }

  try {
    for (const step of sequence) {
      run(step)
      if (small) heap.check()
    }
    heap.check()
    const blocks = [...heap.blocks()]
    same('the number of blocks', blocks.length, model.blocks.length)
    model.blocks.forEach((block, i) => {
      same(`the offset of block ${i}`, blocks[i]?.offset, block.offset)
      same(`the size of block ${i}`, blocks[i]?.size, block.size)
      same(`used, of block ${i}`, blocks[i]?.used, block.used && !block.cached)
      same(`cached, of block ${i}`, blocks[i]?.cached ?? false, block.cached ?? false)
    })
    const cached = model.blocks.filter(block => block.cached)
    same(
      'cached',
      heap.stats().cached,
      cached.reduce((sum, block) => sum + block.size, 0)
    )
    same('cachedBlocks', heap.stats().cachedBlocks, cached.length)
    same('top', heap.stats().top, model.top)
    same('highWater', heap.stats().highWater, model.highWater)
    for (const { pointer, usable } of live) compare(pointer, usable)
  } catch (error) {
    const header = [size, ids, trace.length, 1]
    const why = error instanceof Error ? error.message : String(error)
    throw new Error(
      `${why}\nReplay it: offheap replay --verify --size ${size} --placement ${heap.placement} on this trace:\n${[...header, ...trace].join('\n')}\n`
    )
  }
}
