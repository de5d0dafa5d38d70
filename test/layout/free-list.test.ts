/** The doubly linked list: after any operations, it has the same members in both directions. */
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { NEXT, PREVIOUS } from '../../lib/layout/block.js'
import { checkLinks, clearList, link, relink, unlink } from '../../lib/layout/free-list.js'

const SENTINEL = 1
const words = new Int32Array(256)

/** The members in list order. Fails if the backward links differ. */
function members(): number[] {
  const forwards: number[] = []
  for (let at = words[SENTINEL + NEXT]; at !== SENTINEL; at = words[at + NEXT]) forwards.push(at)
  const backwards: number[] = []
  for (let at = words[SENTINEL + PREVIOUS]; at !== SENTINEL; at = words[at + PREVIOUS])
    backwards.push(at)
  expect(backwards.reverse()).toEqual(forwards)
  return forwards
}

function append(block: number): void {
  link(words, block, words[SENTINEL + PREVIOUS], SENTINEL)
}

beforeEach(() => {
  words.fill(-1)
  clearList(words, SENTINEL)
})

describe('the free list', () => {
  test('is empty after clearList', () => {
    append(9)
    clearList(words, SENTINEL)
    expect(members()).toEqual([])
  })

  test('inserts blocks at its beginning, middle and end', () => {
    append(20)
    append(40)
    link(words, 30, 20, 40)
    link(words, 10, SENTINEL, 20)
    link(words, 50, 40, SENTINEL)
    expect(members()).toEqual([10, 20, 30, 40, 50])
  })

  test('removes the first, the last, a middle and the only block', () => {
    for (const block of [10, 20, 30, 40]) append(block)
    unlink(words, 20)
    expect(members()).toEqual([10, 30, 40])
    unlink(words, 10)
    expect(members()).toEqual([30, 40])
    unlink(words, 40)
    expect(members()).toEqual([30])
    unlink(words, 30)
    expect(members()).toEqual([])
  })

  test('is not linked both ways if a link back leads elsewhere; the error names the byte', () => {
    for (const block of [10, 20, 30]) append(block)
    checkLinks(words, SENTINEL, members())
    words[20 + PREVIOUS] = 30
    const check = (): void => checkLinks(words, SENTINEL, [10, 20, 30])
    expect(check).toThrow(/ not linked both ways at byte 80\./)
    words[20 + PREVIOUS] = 10
    words[SENTINEL + PREVIOUS] = 20
    expect(check).toThrow(/ not linked both ways at byte 4\./)
  })

  test('replaces a block by another, even if their links overlap', () => {
    for (const block of [10, 20, 30]) append(block)
    relink(words, 20, 24)
    expect(members()).toEqual([10, 24, 30])
    relink(words, 24, 25)
    expect(members()).toEqual([10, 25, 30])
    relink(words, 25, 24)
    expect(members()).toEqual([10, 24, 30])
    relink(words, 10, 12)
    relink(words, 30, 28)
    expect(members()).toEqual([12, 24, 28])
  })

  test('has the same members as an array after any operations', () => {
    const step = fc.record({
      kind: fc.constantFrom('insert', 'remove'),
      block: fc.nat(49),
      at: fc.nat()
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), sequence => {
        clearList(words, SENTINEL)
        const model: number[] = []
        for (const { kind, block, at } of sequence) {
          const word = 5 + block * 4
          const known = model.indexOf(word)
          if (kind === 'insert' && known === -1) {
            const place = at % (model.length + 1)
            link(words, word, model[place - 1] ?? SENTINEL, model[place] ?? SENTINEL)
            model.splice(place, 0, word)
          } else if (kind === 'remove' && known !== -1) {
            unlink(words, word)
            model.splice(known, 1)
          }
        }
        expect(members()).toEqual(model)
      })
    )
  })
})
