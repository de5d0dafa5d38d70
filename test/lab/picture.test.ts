import { describe, expect, it } from 'vitest'
import { Ledger } from '../../lib/lab/submission/ledger.js'
import { neighbourhood } from '../../lib/lab/submission/picture.js'
import { parseTrace } from '../../lib/trace/parse.js'

function ledger(): Ledger {
  const trace = parseTrace('1\n3\n4\n1\na 0 24\na 1 12\nf 0\na 2 16\n')
  const book = new Ledger(trace)
  book.take(0, 4104, 24, 0)
  book.take(1, 4136, 12, 1)
  return book
}

describe('the ledger of blocks', () => {
  it('knows the owner of each payload byte, and no owner of other bytes', () => {
    const book = ledger()
    expect(book.ownerWithin(4103, 4104)).toBe(-1)
    expect(book.ownerWithin(4104, 4105)).toBe(0)
    expect(book.ownerWithin(4127, 4136)).toBe(0)
    expect(book.ownerWithin(4128, 4136)).toBe(-1)
    expect(book.ownerWithin(4147, 4148)).toBe(1)
    expect(book.ownerWithin(4148, 4152)).toBe(-1)
    expect(book.ownerWithin(0, 8192)).toBe(0)
  })

  it('lists the history of an address range, the newest event last', () => {
    const book = ledger()
    book.drop(0, 2)
    book.take(2, 4104, 16, 3)
    expect(book.history(4100, 4140, 4)).toEqual([
      'operation 1, line 5 put id 0 (24 bytes) at 4104; freed by operation 3, line 7',
      'operation 2, line 6 put id 1 (12 bytes) at 4136; still in use',
      'operation 4, line 8 put id 2 (16 bytes) at 4104; still in use'
    ])
    expect(book.history(4148, 4150, 4)).toEqual([])
  })
})

describe('the picture of a neighbourhood', () => {
  it('is to scale, and marks the focus', () => {
    const lines = neighbourhood(
      ledger(),
      { low: 4096, high: 4160 },
      { from: 4120, to: 4128, label: 'here' }
    )
    expect(lines).toEqual([
      '4096 |........aaaaaaaaaaaaaaaaaaaaaaaa........bbbbbbbbbbbb....| 4152   1 byte a column',
      '     |                        ^^^^^^^^                        | here',
      '   a  id 0 (24 bytes at 4104, from operation 1, line 5)',
      '   b  id 1 (12 bytes at 4136, from operation 2, line 6)',
      '   .  no payload: headers, footers, free blocks'
    ])
  })

  it('shows the end of the heap, and scales columns to large blocks', () => {
    const book = new Ledger(parseTrace('a 0 1000\n'))
    book.take(0, 4104, 1000, 0)
    const lines = neighbourhood(
      book,
      { low: 4096, high: 5104 },
      { from: 4104, to: 5104, label: 'all of it' }
    )
    expect(lines[0]).toMatch(/^3840 \|~{8}a{32}~{8}\| 5376 {3}32 bytes a column$/)
    expect(lines[1]).toBe(`     |${' '.repeat(8)}${'^'.repeat(32)}${' '.repeat(8)}| all of it`)
    expect(lines.at(-1)).toBe('   ~  outside the heap')
  })
})
