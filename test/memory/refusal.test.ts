/**
 * The error messages for failed system calls. refused.test.ts tests the failures themselves.
 */
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { OffheapError } from '../../lib/errors.js'
import { Heap } from '../../lib/heap/heap.js'
import { refusal } from '../../lib/memory/refusal.js'
import { onWindows } from './maps.js'

const { errno } = constants

/** An error as the addon throws it. */
function fromSystem(number: number, syscall: string): Error {
  return Object.assign(new Error('refused'), { errno: number, syscall })
}

const attempt = { verb: 'map', size: 2 ** 20, locked: false, lockLimit: Number.POSITIVE_INFINITY }

describe('the error for a failed system call', () => {
  const limit =
    /^The system refused to map 1 MiB \(mlock: E[A-Z]+\): locked memory is limited .* 64 KiB for /
  const none =
    /^The system refused to map 1 MiB \(mlock: EPERM\): .*RLIMIT_MEMLOCK, which is unlimited for /
  const inRegion =
    /\(madvise: EINVAL\): pages of a region that was mapped with lock cannot be released/
  const policy = /: a security policy of this process or its container/
  const memory = /: there is not enough free address space or memory/
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
  ])('explains %s with error %i, %j', (syscall, number, more, message) => {
    const error = refusal(fromSystem(number, syscall), { ...attempt, ...more })
    expect(error).toBeInstanceOf(OffheapError)
    expect(error).toMatchObject({
      code: 'ERR_OFFHEAP_SYSTEM',
      errno: number,
      syscall,
      message: expect.stringMatching(message)
    })
  })

  test('suggests to omit hugePages if the system has no huge pages', () => {
    expect(refusal(fromSystem(errno.ENOTSUP, 'madvise'), attempt)).toMatchObject({
      code: 'ERR_OFFHEAP_UNSUPPORTED',
      errno: errno.ENOTSUP,
      syscall: 'madvise',
      message: expect.stringContaining(
        '(madvise: ENOTSUP): it has no transparent huge pages. Omit hugePages.'
      )
    })
  })

  test.each(['ERR_OFFHEAP_CLOSED', 'ERR_OFFHEAP_UNSUPPORTED'])(
    'keeps the code of an error that the addon itself detected: %s',
    code => {
      const error = refusal(Object.assign(new Error('because'), { code }), attempt)
      expect(error).toBeInstanceOf(OffheapError)
      expect(error).toMatchObject({ code, message: expect.stringMatching(/^because /) })
    }
  )

  const others = [
    new TypeError('no code'),
    Object.assign(new TypeError('another code'), { code: 'ERR_INVALID_ARG_TYPE' }),
    Object.assign(new Error('an errno without a syscall'), { errno: 12 }),
    Object.assign(new Error('a syscall without an errno'), { syscall: 'mmap' }),
    Object.assign(new Error('an errno that is a string'), { errno: 'ENOMEM', syscall: 'mmap' }),
    Object.assign(new Error('a syscall that is a number'), { errno: 12, syscall: 9 }),
    { errno: 12, syscall: 'mmap' },
    { code: 'ERR_OFFHEAP_CLOSED' },
    'a string',
    undefined
  ]
  test.each(others.map(error => [String(error), error] as const))(
    'is the original error if no system call failed: %s',
    (_name, error) => {
      expect(refusal(error, attempt)).toBe(error)
    }
  )
})

describe.runIf(onWindows)('what Windows does not have throws ERR_OFFHEAP_UNSUPPORTED:', () => {
  const size = 2 ** 20
  const path = join(tmpdir(), 'offheap-test.heap')

  test.each([
    ['hugePages', /large pages.*need a privilege/, () => Heap.map({ size, hugePages: true })],
    ['files', /can neither truncate/, () => Heap.open(path, { size, create: true })],
    ['threads', /Linux and macOS only/, () => Heap.map({ size, shared: true })],
    ['processes', /on Linux only/, () => Heap.open(path, { size, create: true, shared: true })]
  ])('%s', (_, reason, open) => {
    expect(open).toThrow(
      expect.objectContaining({
        code: 'ERR_OFFHEAP_UNSUPPORTED',
        message: expect.stringMatching(reason)
      })
    )
  })
})
