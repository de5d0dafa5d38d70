import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type FreeListEdits, FreeListRecorder } from '../../lib/report/free-list-edits.js'

interface Block {
  readonly offset: number
  readonly size: number
}

function record(lists: readonly (readonly Block[])[]): FreeListEdits {
  const recorder = new FreeListRecorder(lists.length)
  for (const list of lists) recorder.note(list)
  return recorder.finish()
}

/** The lists again, from the edits alone. */
function replay(edits: FreeListEdits): Block[][] {
  const list: Block[] = []
  let removed = 0
  let inserted = 0
  return Array.from(edits.removals, (removals, i) => {
    for (let k = 0; k < removals; k++) list.splice(edits.removedAt[removed++], 1)
    for (let k = 0; k < edits.insertions[i]; k++) {
      const block = { offset: edits.offsets[inserted], size: edits.sizes[inserted] }
      list.splice(edits.insertedAt[inserted++], 0, block)
    }
    return [...list]
  })
}

const blocks = (...offsets: number[]) => offsets.map(offset => ({ offset, size: 16 }))

describe('FreeListRecorder', () => {
  it('leads from each list to the next, whatever they are', () => {
    const block = fc.record({
      offset: fc.integer({ min: 0, max: 12 }),
      size: fc.constantFrom(16, 24)
    })
    fc.assert(
      fc.property(fc.array(fc.array(block, { maxLength: 14 }), { maxLength: 12 }), lists => {
        expect(replay(record(lists))).toEqual(lists)
      })
    )
  })

  it('needs one removal and one insertion for a block that moves far', () => {
    const edits = record([blocks(1, 2, 3, 4, 5, 6, 7, 8, 9), blocks(2, 3, 4, 5, 6, 7, 8, 9, 10)])
    expect([...edits.removals]).toEqual([0, 1])
    expect([...edits.insertions]).toEqual([9, 1])
  })

  it('needs no edits for an unchanged list', () => {
    const edits = record([blocks(1, 2), blocks(1, 2)])
    expect([edits.removals[1], edits.insertions[1]]).toEqual([0, 0])
  })

  it('records a block that only changed its size', () => {
    const lists = [[{ offset: 8, size: 32 }], [{ offset: 8, size: 64 }]]
    expect(replay(record(lists))).toEqual(lists)
  })
})
