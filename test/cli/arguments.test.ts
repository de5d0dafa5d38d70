import { describe, expect, it } from 'vitest'
import { parseBytes } from '../../lib/cli/arguments.js'
import { isAscii, wantsColor } from '../../lib/cli/io.js'

describe('parseBytes', () => {
  it.each([
    ['4096', 4096],
    ['4096B', 4096],
    ['64k', 65_536],
    ['64K', 65_536],
    ['64KiB', 65_536],
    ['64M', 2 ** 26],
    ['64 MiB', 2 ** 26],
    ['1g', 2 ** 30],
    ['1GiB', 2 ** 30],
    ['1.5G', 1.5 * 2 ** 30]
  ])('reads %j', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes)
  })

  it.each([
    '',
    '0',
    '-1',
    '1.5',
    'MiB',
    '64MB',
    '1e6',
    '0x100',
    '64 M iB',
    '99999999999G',
    '1,000'
  ])('refuses %j', text => {
    expect(() => parseBytes(text)).toThrow('Give bytes, or KiB, MiB or GiB')
  })
})

describe('wantsColor', () => {
  it('follows NO_COLOR, then FORCE_COLOR, then the terminal', () => {
    expect(wantsColor({}, true)).toBe(true)
    expect(wantsColor({}, false)).toBe(false)
    expect(wantsColor({ TERM: 'dumb' }, true)).toBe(false)
    expect(wantsColor({ FORCE_COLOR: '1' }, false)).toBe(true)
    expect(wantsColor({ FORCE_COLOR: '0' }, true)).toBe(false)
    expect(wantsColor({ NO_COLOR: '1', FORCE_COLOR: '1' }, true)).toBe(false)
    expect(wantsColor({ NO_COLOR: '' }, true)).toBe(true)
  })
})

describe('isAscii', () => {
  it('follows the locale', () => {
    expect(isAscii({ LANG: 'de_DE.UTF-8' })).toBe(false)
    expect(isAscii({ LANG: 'C.utf8' })).toBe(false)
    expect(isAscii({})).toBe(false)
    expect(isAscii({ LANG: 'C' })).toBe(true)
    expect(isAscii({ LANG: 'en_US.UTF-8', LC_ALL: 'POSIX' })).toBe(true)
    expect(isAscii({ LC_CTYPE: 'en_US.ISO-8859-1' })).toBe(true)
    expect(isAscii({ LANG: 'en_US.UTF-8', TERM: 'dumb' })).toBe(true)
  })
})
