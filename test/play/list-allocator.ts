/**
 * A lab's allocator for tests: an explicit free list, last in, first out, with boundary tags. The
 * header and the footer of a block are its size in bytes, plus 1 if it is used. Blocks begin 4
 * bytes in front of a multiple of 8.
 */

interface Memory {
  readonly low: number
  readonly high: number
  readonly u32: Uint32Array
  readonly u8: Uint8Array
  sbrk(bytes: number): number
}

const SMALLEST = 16

export function create(memory: Memory) {
  const { u32, u8 } = memory
  const first = memory.low + 4
  let head = 0

  const sizeOf = (block: number) => u32[block / 4] & ~7
  const isUsed = (block: number) => (u32[block / 4] & 1) === 1

  function mark(block: number, size: number, used: boolean): void {
    const tag = size + (used ? 1 : 0)
    u32[block / 4] = tag
    u32[(block + size - 4) / 4] = tag
  }

  function insert(block: number): void {
    u32[(block + 4) / 4] = head
    u32[(block + 8) / 4] = 0
    if (head !== 0) u32[(head + 8) / 4] = block
    head = block
  }

  function remove(block: number): void {
    const next = u32[(block + 4) / 4]
    const previous = u32[(block + 8) / 4]
    if (previous === 0) head = next
    else u32[(previous + 4) / 4] = next
    if (next !== 0) u32[(next + 8) / 4] = previous
  }

  function malloc(bytes: number): number {
    const size = Math.max(SMALLEST, Math.ceil((bytes + 8) / 8) * 8)
    for (let block = head; block !== 0; block = u32[(block + 4) / 4]) {
      const have = sizeOf(block)
      if (have < size) continue
      remove(block)
      const isSplit = have - size >= SMALLEST
      mark(block, isSplit ? size : have, true)
      if (isSplit) {
        mark(block + size, have - size, false)
        insert(block + size)
      }
      return block + 4
    }
    if (memory.high === memory.low) memory.sbrk(8)
    if (memory.sbrk(size) === -1) return 0
    const block = memory.high - size - 4
    mark(block, size, true)
    return block + 4
  }

  function free(pointer: number): void {
    if (pointer === 0) return
    let block = pointer - 4
    if (block < first || !isUsed(block))
      throw new Error(`free(${pointer}): no used block begins there`)
    let size = sizeOf(block)
    const right = block + size
    if (right < memory.high - 4 && !isUsed(right)) {
      remove(right)
      size += sizeOf(right)
    }
    if (block > first && (u32[(block - 4) / 4] & 1) === 0) {
      const left = block - (u32[(block - 4) / 4] & ~7)
      remove(left)
      size += block - left
      block = left
    }
    mark(block, size, false)
    insert(block)
  }

  function realloc(pointer: number, bytes: number): number {
    const moved = malloc(bytes)
    if (pointer === 0 || moved === 0) return moved
    u8.copyWithin(moved, pointer, pointer + Math.min(bytes, sizeOf(pointer - 4) - 8))
    free(pointer)
    return moved
  }

  function describe() {
    const blocks = []
    for (let block = first; block < memory.high - 4; block += sizeOf(block)) {
      blocks.push({ offset: block, size: sizeOf(block), used: isUsed(block), header: 4, footer: 4 })
    }
    const freeList = []
    for (let block = head; block !== 0; block = u32[(block + 4) / 4]) freeList.push(block)
    return { blocks, freeList }
  }

  return { malloc, free, realloc, describe }
}
