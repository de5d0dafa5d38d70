/** Errors: their codes, what they carry, and that naming a value runs none of its code. */
import { describe, expect, test } from 'vitest'
import { corrupt, inspect, invalidType, OffheapError, outOfRange } from '../lib/errors.js'

describe('OffheapError', () => {
  test('has a code, a name, a message and a stack', () => {
    const error = new OffheapError('ERR_OFFHEAP_CLOSED', 'it is closed')
    expect(error).toBeInstanceOf(Error)
    expect(error.code).toBe('ERR_OFFHEAP_CLOSED')
    expect(error.name).toBe('OffheapError')
    expect(String(error)).toBe('OffheapError: it is closed')
    expect(error.stack).toContain('errors.test')
    expect('errno' in error && error.errno !== undefined).toBe(false)
  })

  test('carries what the system said', () => {
    const error = new OffheapError('ERR_OFFHEAP_SYSTEM', 'no memory', { errno: 12, syscall: 'mmap' })
    expect(error).toMatchObject({ errno: 12, syscall: 'mmap' })
  })
})

describe("Node's own errors", () => {
  test('a wrong type', () => {
    const error = invalidType('size', 'of type number', '8')
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
      message: `The "size" argument must be of type number. Received '8' (string)`
    })
  })

  test('a wrong value', () => {
    const error = outOfRange('size', 'an integer from 0', -1)
    expect(error).toBeInstanceOf(RangeError)
    expect(error).toMatchObject({
      code: 'ERR_OUT_OF_RANGE',
      message: 'The value of "size" is out of range. It must be an integer from 0. Received -1'
    })
  })

  test('a corrupt heap says what, and what to do', () => {
    const error = corrupt('the block at byte 132 is free twice')
    expect(error.code).toBe('ERR_OFFHEAP_CORRUPT')
    expect(error.message).toMatch(/the block at byte 132 is free twice\. .*don't use this heap any more/)
  })
})

describe('inspect', () => {
  const trap = new Proxy(
    {},
    {
      get: () => {
        throw new Error('its code ran')
      }
    }
  )

  test.each([
    ['text', "'text'"],
    ['x'.repeat(41), `'${'x'.repeat(40)}…'`],
    [8n, '8n'],
    [Symbol('p'), 'Symbol(p)'],
    [() => 1, 'a function'],
    [class {}, 'a function'],
    [[1, 2], 'an array'],
    [{}, 'an object'],
    [trap, 'an object'],
    [null, 'null'],
    [undefined, 'undefined'],
    [true, 'true'],
    [Number.NaN, 'NaN'],
    [-1.5, '-1.5']
  ])('names value %#', (value, name) => {
    expect(inspect(value)).toBe(name)
  })
})
