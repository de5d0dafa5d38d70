import { afterEach, describe, expect, expectTypeOf, it } from 'vitest'
import { create } from '../../labs/starter/allocator.js'
import type {
  Allocator as StudentAllocator,
  Memory as StudentMemory
} from '../../labs/starter/memory.js'
import { grade } from '../../lib/lab/grade/grade.js'
import {
  type Allocator,
  type Create,
  LabMemory,
  type Memory
} from '../../lib/lab/submission/memory.js'

describe('the starter', () => {
  it('has the same types as the grader', () => {
    expectTypeOf<StudentMemory>().toEqualTypeOf<Memory>()
    expectTypeOf<StudentAllocator>().toEqualTypeOf<Allocator>()
    expectTypeOf(create).toEqualTypeOf<Create>()
  })

  it('is a bump allocator, as step 1 of the handout says', () => {
    const lab = new LabMemory(2 ** 16)
    const { malloc, free, realloc } = create(lab.face)
    const p = malloc(5)
    expect(p % 8).toBe(0)
    lab.face.u8.set([1, 2, 3, 4, 5], p)
    const q = realloc(p, 100)
    expect([...lab.face.u8.subarray(q, q + 6)]).toEqual([1, 2, 3, 4, 5, 0])
    free(q)
    expect(malloc(100)).toBeGreaterThan(q)
    expect(malloc(2 ** 17)).toBe(0)
    lab.close()
  })
})

describe('on Windows, the grader', () => {
  const real = process.platform
  const pretend = (platform: string) =>
    Object.defineProperty(process, 'platform', { value: platform })
  afterEach(() => void pretend(real))

  it('says why it cannot grade, and where it can', async () => {
    pretend('win32')
    // It looks at no option before that.
    await expect(Reflect.apply(grade, undefined, [{}])).rejects.toMatchObject({
      code: 'ERR_OFFHEAP_UNSUPPORTED',
      message: expect.stringMatching(/^grading needs Linux or macOS.*shares memory.*wsl --install/)
    })
  })
})
