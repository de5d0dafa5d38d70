/**
 * An allocator's description of its own heap: its blocks in address order, and its free blocks in
 * list order. A lab's allocator may have a `describe()` that returns this. It is not trusted: this
 * file reads it, and refuses what is invalid with a message.
 */

/** A block, as `describe()` returns it. */
export interface BlockDescription {
  /** The byte offset of the block: of its header, if it has one. */
  readonly offset: number
  /** The bytes of the whole block: header, payload and footer. */
  readonly size: number
  readonly used: boolean
  /** The bytes of the block before its payload. Default: up to the payload, if that is known. */
  readonly header?: number
  /** The bytes of the boundary tag at the end of the block. Default: 0. */
  readonly footer?: number
}

/** What `describe()` returns. */
export interface DescribedHeap {
  readonly blocks: Iterable<BlockDescription>
  /** The offsets of the free blocks in list order. Default: in address order. */
  readonly freeList?: Iterable<number>
}

/** A description after it was read and checked. */
export interface HeapDescription {
  readonly blocks: readonly BlockDescription[]
  /**
   * The offsets of the free blocks, in the order of the list or lists; undefined if they were not
   * described.
   */
  readonly freeList: readonly number[] | undefined
}

/** The most entries that are read. */
const MOST_BLOCKS = 2 ** 20

/**
 * Reads what `describe()` returned, for a heap from byte `low` to byte `high`. Returns a message if
 * it is invalid, or if one of its iterators throws.
 */
export function readDescription(
  value: unknown,
  low: number,
  high: number
): HeapDescription | string {
  try {
    return read(value, low, high)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function read(value: unknown, low: number, high: number): HeapDescription {
  const blocks: BlockDescription[] = []
  let end = low
  for (const [i, item] of listOf(property(value, 'blocks'), 'blocks').entries()) {
    const name = `blocks[${i}]`
    const offset = integer(property(item, 'offset'), `${name}.offset`)
    const size = integer(property(item, 'size'), `${name}.size`)
    if (offset < end)
      throw new Error(
        `describe(): ${name} begins at byte ${offset}, inside what is before it, up to byte ${end}`
      )
    if (size <= 0 || offset + size > high) {
      throw new Error(
        `describe(): ${name} has ${size} bytes from byte ${offset} on, but the heap ends at ${high}`
      )
    }
    end = offset + size
    const header = optional(property(item, 'header'), `${name}.header`, size)
    const footer = optional(property(item, 'footer'), `${name}.footer`, size - (header ?? 0))
    blocks.push({
      offset,
      size,
      used: property(item, 'used') === true,
      ...(header === undefined ? {} : { header }),
      ...(footer === undefined ? {} : { footer })
    })
  }
  const list = property(value, 'freeList')
  if (list === undefined) return { blocks, freeList: undefined }
  const offsets = new Set(blocks.filter(({ used }) => !used).map(({ offset }) => offset))
  const freeList = listOf(list, 'freeList').map((item, i) => {
    const offset = integer(item, `freeList[${i}]`)
    if (!offsets.has(offset))
      throw new Error(`describe(): freeList[${i}] is ${offset}, where no free block begins`)
    return offset
  })
  return { blocks, freeList }
}

function property(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) {
    throw new Error(
      'describe() must return { blocks: [{ offset, size, used }, …], freeList: [offset, …] }'
    )
  }
  return Reflect.get(value, name)
}

function listOf(value: unknown, name: string): unknown[] {
  if (!isIterable(value)) throw new Error(`describe(): ${name} is not an array`)
  const items: unknown[] = []
  for (const item of value) {
    if (items.length >= MOST_BLOCKS)
      throw new Error(`describe(): ${name} does not end after ${MOST_BLOCKS} entries`)
    items.push(item)
  }
  return items
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value
}

function integer(value: unknown, name: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value
  throw new Error(
    `describe(): ${name} is ${String(value)}, but should be a byte offset or a number of bytes`
  )
}

function optional(value: unknown, name: string, most: number): number | undefined {
  if (value === undefined) return undefined
  const bytes = integer(value, name)
  if (bytes > most) throw new Error(`describe(): ${name} is ${bytes}, more than the block has`)
  return bytes
}
