/** Errors: their codes and properties, and that formatting a value runs none of its code. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { corrupt, inspect, invalidType, OffheapError, outOfRange } from '../lib/errors.js'

describe('OffheapError', () => {
  test('has a code, a name, a message and a stack', () => {
    const error = new OffheapError('ERR_OFFHEAP_CLOSED', 'it is closed')
    expect(error).toBeInstanceOf(Error)
    expect(error.code).toBe('ERR_OFFHEAP_CLOSED')
    expect(error.name).toBe('OffheapError')
    expect(String(error)).toMatch(/^OffheapError: it is closed /)
    expect(error.stack).toContain('errors.test')
    expect('errno' in error && error.errno !== undefined).toBe(false)
  })

  test('ends its message with a link to the section about its code, once', () => {
    const inner = new OffheapError('ERR_OFFHEAP_CLOSED', 'it is closed')
    expect(inner.message).toBe(
      'it is closed (see offheap/docs/troubleshooting.md#err_offheap_closed)'
    )
    const outer = new OffheapError(
      'ERR_OFFHEAP_TRACE',
      `operation 2: ${inner.message}, again: ${inner.message}`
    )
    expect(outer.message).toBe(
      'operation 2: it is closed, again: it is closed (see ' +
        'offheap/docs/troubleshooting.md#err_offheap_trace)'
    )
  })

  test('has a section for every code, with the heading that the link names', () => {
    const source = readFileSync(new URL('../lib/errors.ts', import.meta.url), 'utf8')
    const codes = [...source.matchAll(/^ {2}\| '(ERR_OFFHEAP_\w+)'/gm)].map(([, code]) => code)
    expect(codes.length).toBeGreaterThan(10)
    const page = readFileSync(new URL('../docs/troubleshooting.md', import.meta.url), 'utf8')
    const paragraphs = [...page.matchAll(/^## (ERR_OFFHEAP_\w+)\n\n(?!#).{80}/gm)].map(
      ([, code]) => code
    )
    expect(paragraphs.toSorted()).toEqual(codes.toSorted())
  })

  test('has errno and syscall of the system', () => {
    const error = new OffheapError('ERR_OFFHEAP_SYSTEM', 'no memory', {
      errno: 12,
      syscall: 'mmap'
    })
    expect(error).toMatchObject({ errno: 12, syscall: 'mmap' })
  })
})

describe("Node's own errors", () => {
  test('for a wrong type', () => {
    const error = invalidType('size', 'of type number', '8')
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
      message: `The "size" argument must be of type number. Received '8' (string)`
    })
  })

  test('for a wrong value', () => {
    const error = outOfRange('size', 'an integer from 0', -1)
    expect(error).toBeInstanceOf(RangeError)
    expect(error).toMatchObject({
      code: 'ERR_OUT_OF_RANGE',
      message: 'The value of "size" is out of range. It must be an integer from 0. Received -1'
    })
  })

  test('corrupt() says what is wrong, and what to do', () => {
    const error = corrupt('the block at byte 132 is free twice')
    expect(error.code).toBe('ERR_OFFHEAP_CORRUPT')
    expect(error.message).toMatch(
      /the block at byte 132 is free twice\. .*don't use this heap any more/
    )
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
