/**
 * The stacks where blocks were allocated and freed, for a heap with `trackAllocations`. They belong
 * to this Heap object and are not stored in the memory. Equal stacks are stored once. Only the most
 * recently freed blocks are remembered.
 */
import type { Leak, Pointer } from '../engine/engine.js'
import type { FaultyBlock } from '../errors.js'

interface Allocation {
  readonly size: number
  readonly allocated: string
  readonly freed?: string
}

/** The number of frames in a stack. */
const FRAMES = 16
/** The number of freed blocks that are remembered. */
const REMEMBERED = 65_536

export class Stacks {
  private readonly live = new Map<Pointer, Allocation>()
  private readonly freed = new Map<Pointer, Allocation>()
  private readonly known = new Map<string, string>()

  /** Notes a block of `size` bytes that was allocated at the stack `allocated`. */
  noteAllocated(pointer: Pointer, size: number, allocated: string): void {
    this.freed.delete(pointer)
    this.live.set(pointer, { size, allocated })
  }

  /** Notes that a block was freed at the stack `freed`. */
  noteFreed(pointer: Pointer, freed: string): void {
    const allocation = this.live.get(pointer)
    if (allocation === undefined) return
    this.live.delete(pointer)
    this.freed.delete(pointer)
    this.freed.set(pointer, { ...allocation, freed })
    if (this.freed.size > REMEMBERED)
      for (const oldest of this.freed.keys()) return void this.freed.delete(oldest)
  }

  /** Removes all notes. */
  clear(): void {
    this.live.clear()
    this.freed.clear()
  }

  /** Describes the block at `pointer`, which has `size` bytes. */
  describe(pointer: Pointer, size: number): FaultyBlock {
    return { pointer, size, ...(this.live.get(pointer) ?? this.freed.get(pointer)) }
  }

  /** The blocks that were not freed, grouped by stack, the most bytes first. */
  leaks(): Leak[] {
    const groups = new Map<string, Leak>()
    for (const { size, allocated: stack } of this.live.values()) {
      const { count, bytes } = groups.get(stack) ?? { count: 0, bytes: 0 }
      groups.set(stack, { count: count + 1, bytes: bytes + size, stack })
    }
    return [...groups.values()].sort((a, b) => b.bytes - a.bytes)
  }

  /**
   * The stack above `call`; equal stacks share one copy. Never throws, but may run the caller's own
   * `Error.prepareStackTrace`, so call it before anything is checked or changed.
   */
  here(call: Caller): string {
    const stack = stackAbove(call)
    const same = this.known.get(stack)
    if (same !== undefined) return same
    this.known.set(stack, stack)
    return stack
  }
}

type Caller = (...args: never[]) => unknown

/**
 * The stack above `call`, one frame on each line; shorter, perhaps '', if the process limits
 * stacks.
 */
function stackAbove(call: Caller): string {
  try {
    const holder = { stack: '' }
    const limit: unknown = Error.stackTraceLimit
    // Returns false if Error is frozen, as with --frozen-intrinsics: the stack keeps its usual
    // length.
    Reflect.set(Error, 'stackTraceLimit', FRAMES)
    try {
      Error.captureStackTrace(holder, call)
    } finally {
      Reflect.set(Error, 'stackTraceLimit', limit)
    }
    // The first line is the name of the holder.
    return String(holder.stack).replace(/^.*\n?/, '')
  } catch {
    return ''
  }
}

/** The leaks as text, for a warning. */
export function leakReport(leaks: readonly Leak[]): string {
  const total = leaks.reduce(
    (sum, { count, bytes }) => ({ count: sum.count + count, bytes: sum.bytes + bytes }),
    {
      count: 0,
      bytes: 0
    }
  )
  const shown = leaks.slice(0, 20)
  const groups = shown.map(
    ({ count, bytes, stack }) => `${bytes} bytes in ${blocks(count)}, allocated\n${stack}`
  )
  const rest = leaks.length - shown.length
  if (rest > 0) groups.push(`and ${rest} more stacks; leaks() has all`)
  return (
    `${total.bytes} bytes in ${blocks(total.count)} were not freed when the heap was ` +
    `closed\n${groups.join('\n')}`
  )
}

function blocks(count: number): string {
  return count === 1 ? '1 block' : `${count} blocks`
}
