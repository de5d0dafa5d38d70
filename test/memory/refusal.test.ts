/**
 * What the system's refusals mean, in words; which of them the system gives is tested by
 * refused.test.ts.
 */
import { constants } from 'node:os'
import { describe, expect, test } from 'vitest'
import { OffheapError } from '../../lib/errors.js'
import { bytes, refusal } from '../../lib/memory/refusal.js'

const { errno } = constants

/** An error as the addon throws it. */
function fromSystem(number: number, syscall: string): Error {
  return Object.assign(new Error('refused'), { errno: number, syscall })
}

const attempt = { verb: 'map', size: 2 ** 20, locked: false, lockLimit: Number.POSITIVE_INFINITY }

describe('a refusal', () => {
  const limit =
    /^The system refused to map 1 MiB \(mlock: E[A-Z]+\): memory that stays in RAM is limited .* 64 KiB for /
  const none =
    /^The system refused to map 1 MiB \(mlock: EPERM\): .*RLIMIT_MEMLOCK, which is unlimited for /
  const inRegion =
    /\(madvise: EINVAL\): the pages of a region that was mapped with lock can not be given back/
  const policy = /: a security policy of this process or its container/
  const memory = /: there is not that much free address space or memory/
  const unknown = /: it gave no further reason\./

  test.each([
    ['mlock', errno.ENOMEM, { lockLimit: 65_536 }, limit],
    ['mlock', errno.EPERM, { lockLimit: 65_536 }, limit],
    ['mlock', errno.EPERM, {}, none],
    ['mlock', errno.EAGAIN, { lockLimit: 65_536 }, memory],
    ['madvise', errno.EINVAL, { locked: true }, inRegion],
    ['madvise', errno.EINVAL, {}, unknown],
    ['madvise', errno.EIO, { locked: true }, unknown],
    ['mmap', errno.EPERM, {}, policy],
    ['mmap', errno.EACCES, {}, policy],
    ['mmap', errno.ENOSYS, {}, policy],
    ['mmap', errno.ENOMEM, {}, memory],
    ['mmap', errno.EAGAIN, {}, memory],
    ['mmap', errno.ENOTSUP, {}, unknown],
    ['mmap', 9999, {}, /\(mmap: error 9999\): it gave no further reason\./]
  ])('of %s with %i, %j', (syscall, number, more, message) => {
    const error = refusal(fromSystem(number, syscall), { ...attempt, ...more })
    expect(error).toBeInstanceOf(OffheapError)
    expect(error).toMatchObject({
      code: 'ERR_OFFHEAP_SYSTEM',
      errno: number,
      syscall,
      message: expect.stringMatching(message)
    })
  })

  test('of huge pages says to leave them out', () => {
    expect(refusal(fromSystem(errno.ENOTSUP, 'madvise'), attempt)).toMatchObject({
      code: 'ERR_OFFHEAP_UNSUPPORTED',
      errno: errno.ENOTSUP,
      syscall: 'madvise',
      message: expect.stringContaining(
        '(madvise: ENOTSUP): it has no transparent huge pages. Leave out hugePages.'
      )
    })
  })

  test.each(['ERR_OFFHEAP_CLOSED', 'ERR_OFFHEAP_UNSUPPORTED'])(
    'of the addon itself has its code: %s',
    code => {
      const error = refusal(Object.assign(new Error('because'), { code }), attempt)
      expect(error).toBeInstanceOf(OffheapError)
      expect(error).toMatchObject({ code, message: expect.stringMatching(/^because /) })
    }
  )

  const others = [
    new TypeError('no code'),
    Object.assign(new TypeError('another code'), { code: 'ERR_INVALID_ARG_TYPE' }),
    Object.assign(new Error('an error number alone'), { errno: 12 }),
    Object.assign(new Error('a call alone'), { syscall: 'mmap' }),
    Object.assign(new Error('a name for a number'), { errno: 'ENOMEM', syscall: 'mmap' }),
    Object.assign(new Error('a number for a call'), { errno: 12, syscall: 9 }),
    { errno: 12, syscall: 'mmap' },
    { code: 'ERR_OFFHEAP_CLOSED' },
    'a string',
    undefined
  ]
  test.each(others.map(error => [String(error), error] as const))(
    'that is none is left alone: %s',
    (_name, error) => {
      expect(refusal(error, attempt)).toBe(error)
    }
  )
})

test.each([
  [0, '0 bytes'],
  [0.5, '0.5 bytes'],
  [1, '1 byte'],
  [1.5, '1.5 bytes'],
  [1023, '1023 bytes'],
  [1024, '1 KiB'],
  [1.5 * 2 ** 20, '1.5 MiB'],
  [2 ** 32, '4 GiB'],
  [2 ** 50, '1 PiB'],
  [2 ** 61, '2048 PiB']
])('%d bytes are printed as %s', (size, text) => {
  expect(bytes(size)).toBe(text)
})
