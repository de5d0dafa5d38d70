import { describe, expect, it } from 'vitest'
import { readDescription } from '../../lib/report/heap-description.js'

const block = (offset: number, size: number, used = true) => ({ offset, size, used })
const read = (value: unknown) => readDescription(value, 4096, 4196)

describe('the description of a heap', () => {
  it('has its blocks in address order, and its free list in its own order', () => {
    const blocks = [
      block(4100, 16, false),
      { ...block(4116, 24), header: 4, footer: 4 },
      block(4150, 46, false)
    ]
    expect(read({ blocks, freeList: [4150, 4100] })).toEqual({ blocks, freeList: [4150, 4100] })
    expect(read({ blocks: new Set(blocks).values() })).toEqual({ blocks, freeList: undefined })
  })

  it.each([
    [null, 'describe() must return { blocks'],
    [[], 'blocks is not an array'],
    [{ blocks: 'abc' }, 'blocks is not an array'],
    [{ blocks: [7] }, 'describe() must return { blocks'],
    [{ blocks: [block(4092, 8)] }, 'blocks[0] begins at byte 4092'],
    [
      { blocks: [block(4096, 16), block(4104, 8)] },
      'blocks[1] begins at byte 4104, inside what is before it, up to byte 4112'
    ],
    [{ blocks: [block(4096, 0)] }, 'blocks[0] has 0 bytes'],
    [
      { blocks: [block(4096, 101)] },
      'blocks[0] has 101 bytes from byte 4096 on, but the heap ends at 4196'
    ],
    [{ blocks: [block(4096.5, 8)] }, 'blocks[0].offset is 4096.5'],
    [{ blocks: [block(Number.NaN, 8)] }, 'blocks[0].offset is NaN'],
    [
      { blocks: [{ ...block(4096, 8), header: 9 }] },
      'blocks[0].header is 9, more than the block has'
    ],
    [{ blocks: [{ ...block(4096, 8), header: 4, footer: 8 }] }, 'blocks[0].footer is 8'],
    [
      { blocks: [block(4096, 8)], freeList: [4096] },
      'freeList[0] is 4096, where no free block begins'
    ],
    [{ blocks: [], freeList: 3 }, 'freeList is not an array']
  ])('%j is refused with a sentence', (value, message) => {
    expect(read(value)).toContain(message)
  })

  it('is refused with the error of a throwing property', () => {
    const thrower = {
      get blocks() {
        throw new Error('from describe itself')
      }
    }
    expect(read(thrower)).toBe('from describe itself')
  })

  it('is refused if an iterator does not end', () => {
    function* endless() {
      for (;;) yield 4096
    }
    expect(read({ blocks: [block(4096, 8, false)], freeList: endless() })).toContain(
      'freeList does not end'
    )
  })
})
