import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { placements } from '../../lib/placement/policies.js'
import {
  CallError,
  decodeCalls,
  encodeCalls,
  lineOfCall,
  makesVariable,
  nameOf,
  parseCalls
} from '../../lib/play/calls.js'
import { decodeLink, encodeLink } from '../../lib/play/link.js'
import { programs } from './support.js'

const size = (bytes: number) => ({ kind: 'malloc', size: bytes })

describe('parsing a typed call', () => {
  it.each([
    ['malloc(24)', [size(24)]],
    ['malloc 24', [size(24)]],
    [' M 24 ', [size(24)]],
    ['x = malloc( 24 )', [size(24)]],
    ['malloc 1; malloc 2\nmalloc 3 // the third', [size(1), size(2), size(3)]],
    ['calloc(4, 8)', [{ kind: 'calloc', count: 4, size: 8 }]],
    ['aligned 64 24', [{ kind: 'aligned', alignment: 64, size: 24 }]],
    ['alignedAlloc(64,24)', [{ kind: 'aligned', alignment: 64, size: 24 }]],
    ['b = realloc(b, 60)', [{ kind: 'realloc', of: { variable: 1 }, size: 60 }]],
    ['realloc(NULL, 60)', [{ kind: 'realloc', of: { pointer: 0 }, size: 60 }]],
    ['free(a)', [{ kind: 'free', of: { variable: 0 } }]],
    ['free 456', [{ kind: 'free', of: { pointer: 456 } }]],
    ['malloc 8; free c', [size(8), { kind: 'free', of: { variable: 2 } }]],
    ['', []]
  ])('%j', (text, calls) => {
    expect(parseCalls(text, 2)).toEqual(calls)
  })

  it.each([
    ['mallocate(24)', '"mallocate(24)" is not a call'],
    ['malloc', '"malloc" is not a call'],
    ['malloc(24, 3)', 'malloc takes one argument, but "malloc(24, 3)" has 2'],
    ['realloc(a)', 'realloc takes two arguments'],
    ['malloc(-1)', '"-1" is not a number of bytes'],
    ['malloc(1.5)', '"1.5" is not a number of bytes'],
    ['malloc(4294967297)', '"4294967297" is not a number of bytes'],
    ['free(c)', '"c" is not a block: the blocks are a to b'],
    ['free(a1)', '"a1" is not a block']
  ])('throws for %j', (text, message) => {
    expect(() => parseCalls(text, 2)).toThrow(CallError)
    expect(() => parseCalls(text, 2)).toThrow(message)
  })

  it('names variables a to z, then a1, b1, …', () => {
    expect([0, 1, 25, 26, 51, 52].map(nameOf)).toEqual(['a', 'b', 'z', 'a1', 'z1', 'a2'])
  })

  it('parses every line that the page writes', () => {
    fc.assert(
      fc.property(programs(60), calls => {
        let variables = 0
        const lines = calls.map(call => lineOfCall(call, makesVariable(call) ? variables++ : -1))
        expect(parseCalls(lines.join('\n'), 0)).toEqual(calls)
      })
    )
  })
})

describe('a link', () => {
  const standard = decodeLink('#calls=', {
    placement: 'first-fit',
    against: undefined,
    slabs: false,
    size: 4096,
    fills: true,
    calls: [],
    moment: { call: 0, step: 0 }
  })

  it('contains the whole state of the page', () => {
    const places = fc.constantFrom(...placements)
    const states = fc.record({
      placement: places,
      against: fc.option(places, { nil: undefined }),
      slabs: fc.boolean(),
      size: fc.constantFrom(1024, 4096, 65_536),
      fills: fc.boolean(),
      calls: programs(40),
      moment: fc.record({ call: fc.nat(40), step: fc.nat(20) })
    })
    fc.assert(
      fc.property(states, state => {
        const link = encodeLink(state)
        expect(link).toMatch(/^#[\w&=.-]*$/)
        expect(decodeLink(link, standard)).toEqual(state)
      })
    )
  })

  it.each([
    ['#calls=m24.x3', '"x3" where a call should be'],
    ['#calls=f0', '"a" is not a block: there are no blocks yet'],
    ['#calls=m24x3', 'too many numbers or too few'],
    ['#calls=mp24', 'too many numbers or too few'],
    ['#calls=c4', 'too many numbers or too few'],
    ['#at=3', 'the moment "3"'],
    ['#worst-fit', '"worst-fit", which this page does not know'],
    ['#size=5000', '"size=5000"']
  ])('throws for %s', (link, message) => {
    expect(() => decodeLink(link, standard)).toThrow(message)
  })

  it('decodes what was encoded, and either decodes or rejects any other text', () => {
    fc.assert(
      fc.property(programs(40), calls => {
        expect(decodeCalls(encodeCalls(calls))).toEqual(calls)
      })
    )
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'mclrfpx.0129') }), text => {
        try {
          expect(encodeCalls(decodeCalls(text)).length).toBeGreaterThan(0)
        } catch (error) {
          if (text !== '') expect(error).toBeInstanceOf(CallError)
        }
      })
    )
  })
})
