import { describe, expect, it } from 'vitest'
import { ALL, contenderOf } from '../../bench/contenders/contenders.js'
import { FRONT, heapName, heapOptions } from '../../bench/contenders/heap-names.js'
import { openHeap } from '../../bench/contenders/heaps.js'
import { traceLabels } from '../../bench/run/traces.js'

describe('the names of heaps', () => {
  it('have flags that switch options on and off', () => {
    const options = (id: string) => {
      const name = heapName(id)
      return name === undefined ? undefined : heapOptions(name)
    }
    expect(options('first-fit')).toEqual({ placement: 'first-fit' })
    expect(options('segregated-fit-slabs')).toEqual({ placement: 'segregated-fit', slabs: false })
    expect(options(`first-fit+${FRONT.flag}+closed`)).toEqual({
      placement: 'first-fit',
      [FRONT.option]: true
    })
  })

  it('may name the build in another checkout', () => {
    expect(heapName('first-fit+slabs@/tmp/a+b')).toEqual({
      placement: 'first-fit',
      flags: new Map([['slabs', true]]),
      folder: '/tmp/a+b'
    })
    expect(contenderOf('first-fit@/tmp/before').label).toBe('offheap first-fit, build in before')
  })

  it('are distinguished from other names', () => {
    for (const id of ['worst-fit', 'first-fit+fast', 'first-fit+', 'glibc'])
      expect(heapName(id)).toBeUndefined()
    expect(() => contenderOf('worst-fit')).toThrow(
      /No contender is called 'worst-fit'. There are: first-fit,/
    )
  })

  it('have different labels, as all contenders do', () => {
    const labels = ALL.map(id => contenderOf(id).label)
    expect(new Set(labels).size).toBe(ALL.length)
    expect(contenderOf('first-fit+views')).toMatchObject({
      buffers: true,
      label: 'offheap allocBuffer, first-fit'
    })
    expect(contenderOf('first-fit+closed').label).toBe(
      'offheap first-fit, after another heap was closed'
    )
  })
})

describe('the memory of a heap', () => {
  it('is its block space and its share of the index', async () => {
    const name = heapName('first-fit')
    if (name === undefined) throw new Error('first-fit is a heap')
    const opened = await openHeap(name, 2 ** 26)
    if (!('pointers' in opened)) throw new Error('it hands out pointers')
    const { allocator, mostMemory } = opened.pointers
    for (let i = 0; i < 1000; i++) allocator.malloc(1020)
    const most = mostMemory?.() ?? 0
    expect(most).toBeGreaterThan(1000 * 1024)
    expect(most).toBeLessThan(1000 * 1024 * 1.05)
  })
})

describe('the names of recordings', () => {
  it('are those of their files, and whole paths if two are the same', () => {
    expect(traceLabels(['a/vim.rep.gz', 'b/git.rep'])).toEqual(['vim', 'git'])
    expect(traceLabels(['a/vim.rep.gz', 'b/vim.rep', 'b/git.rep'])).toEqual([
      'a/vim',
      'b/vim',
      'git'
    ])
  })
})
