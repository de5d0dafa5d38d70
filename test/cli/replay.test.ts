import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { linkOf } from '../../lib/errors.js'
import { placements } from '../../lib/placement/policies.js'
import { offheap } from './terminal.js'

const SMALL = '100\n3\n6\n1\na 0 100\na 1 200\nf 0\na 2 40\nf 1\nf 2\n'
const MEDIUM = Array.from({ length: 300 }, (_, i) => `a ${i} ${(i * 37) % 500}\n`).join('')

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'offheap-cli-'))
  mkdirSync(join(folder, 'traces', 'deeper'), { recursive: true })
  mkdirSync(join(folder, 'empty'))
  writeFileSync(join(folder, 'traces', 'small.rep'), SMALL)
  writeFileSync(join(folder, 'traces', 'medium.rep.gz'), gzipSync(`1\n300\n300\n1\n${MEDIUM}`))
  writeFileSync(join(folder, 'traces', 'README.md'), 'not a trace')
  writeFileSync(join(folder, 'traces', 'deeper', 'other.rep'), SMALL)
  writeFileSync(join(folder, 'odd.rep'), SMALL.replace('6', '7'))
  writeFileSync(join(folder, 'tiny.rep'), '2000\n2\n4\n1\na 0 2000\na 1 100\nf 0\nf 1\n')
  writeFileSync(join(folder, 'bad.rep'), `${SMALL}f 2\n`)
})
afterAll(() => rmSync(folder, { recursive: true }))

const at = (...names: string[]) => join(folder, ...names)

describe('offheap replay', () => {
  it('prints the table, and one large picture with its legend', async () => {
    const { code, out, err } = await offheap(['replay', at('traces', 'small.rep')])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/trace +operations +payload +utilization +ns\/op +blocks +blocks *\n/)
    expect(out).toMatch(/\nsmall +6 +300 B +\d+\.\d % +\d+\.\d +2 +0 *\n/)
    expect(out).toContain('small, after 2 operations\n')
    expect(out).toMatch(/│█+\n.*│╌+ wilderness, .* MiB\n.*cell = 16 B\n$/)
    expect(out).not.toMatch(/valid|mean/)
  })

  it('verifies on request, and reports it', async () => {
    const { code, out } = await offheap(['replay', '--verify', at('traces', 'small.rep')])
    expect(code).toBe(0)
    expect(out).toContain('valid')
    expect(out).toMatch(/\nsmall .* ✓ *\n/)
  })

  it('replays the traces of a folder in order, with means and one legend', async () => {
    const { code, out } = await offheap(['replay', at('traces')])
    expect(code).toBe(0)
    expect(out).toMatch(/\nmedium [^\n]*\nsmall [^\n]*\nmean /)
    expect(out).not.toContain('other')
    expect(out.match(/█ used/g)).toHaveLength(1)
    expect(out).toMatch(
      /\nmedium, after 300 operations\n.*│[^\n]+\n[^\n]+│[^\n]+\n[^\n]+wilderness/
    )
  })

  it('draws slabs, and explains their glyphs', async () => {
    const slots = /slots: +⣿ used +⣶⣤⣄ partly +⣀ free +□ room for a slab/
    const one = await offheap(['replay', '--slabs', at('traces', 'medium.rep.gz')])
    expect(one.out).toMatch(/│.*[⣄⣤⣶⣿]/)
    expect(one.out).toMatch(slots)
    const several = await offheap(['replay', '--slabs', at('traces')])
    expect(several.out.match(new RegExp(slots, 'g'))).toHaveLength(1)
    expect((await offheap(['replay', at('traces')])).out).not.toMatch(slots)
  })

  it('prints only JSON on request', async () => {
    const { code, out, err } = await offheap(
      ['replay', '--json', '--verify', '--size', '1MiB', at('traces')],
      {
        interactive: false
      }
    )
    expect({ code, err }).toEqual({ code: 0, err: '' })
    const { results, mean } = JSON.parse(out)
    expect(results).toHaveLength(2)
    expect(results[1]).toMatchObject({
      trace: 'small',
      operations: 6,
      placement: 'first-fit',
      peakPayload: 300,
      verified: true,
      size: 2 ** 20,
      atPeak: { blocks: 2, freeBlocks: 0 },
      atEnd: { blocks: 0, freeBlocks: 0 },
      notes: []
    })
    expect(mean.utilization).toBeCloseTo((results[0].utilization + results[1].utilization) / 2, 12)
  })

  describe.each(placements)('with --placement %s', placement => {
    it.each(['by default', '--slabs', '--no-slabs'])(
      'verifies a correct heap, %s',
      async option => {
        const options = option.startsWith('--') ? [option] : []
        const { code, err } = await offheap([
          'replay',
          '--verify',
          '-p',
          placement,
          ...options,
          at('tiny.rep')
        ])
        expect({ code, err }).toEqual({ code: 0, err: '' })
      }
    )
  })

  it('uses slabs by default of the placement, or by an option', async () => {
    const topAtEnd = async (...options: string[]): Promise<number> => {
      const { out } = await offheap([
        'replay',
        '--json',
        '--size',
        '1MiB',
        ...options,
        at('traces', 'small.rep')
      ])
      return JSON.parse(out).results[0].atEnd.top
    }
    // Every block was freed: all is wilderness again, unless some wait for the next request of
    // their size.
    for (const placement of ['first-fit', 'segregated-fit']) {
      const without = await topAtEnd('--placement', placement, '--no-slabs')
      const having = await topAtEnd('--placement', placement, '--slabs')
      expect(having).toBeGreaterThan(without + 300)
      expect(await topAtEnd('--placement', placement)).toBe(
        placement === 'first-fit' ? without : having
      )
    }
  })

  it('continues after a trace that fails, and exits with 1', async () => {
    const { code, out, err } = await offheap(['replay', at('bad.rep'), at('traces', 'small.rep')])
    expect(code).toBe(1)
    expect(err).toBe(
      `offheap: ${at('bad.rep')}:11: id 2 is freed twice${linkOf('ERR_OFFHEAP_TRACE')}\n`
    )
    expect(out).toMatch(/\nsmall /)
    const json = await offheap(['replay', '--json', at('bad.rep')])
    expect(json.code).toBe(1)
    expect(JSON.parse(json.out)).toMatchObject({
      results: [{ trace: at('bad.rep'), error: { code: 'ERR_OFFHEAP_TRACE' } }],
      mean: null
    })
  })

  it('continues after a path without traces', async () => {
    const { code, out, err } = await offheap([
      'replay',
      at('none.rep'),
      at('empty'),
      at('traces', 'small.rep')
    ])
    expect(code).toBe(1)
    expect(out).toMatch(/\nsmall /)
    expect(err).toBe(
      `offheap: there is no file or folder ${at('none.rep')}\n` +
        `offheap: the folder ${at('empty')} holds no .rep or .rep.gz file\n`
    )
    const json = await offheap(['replay', '--json', at('none.rep'), at('traces', 'small.rep')])
    expect(json.code).toBe(1)
    expect(JSON.parse(json.out).results).toMatchObject([
      { trace: 'small' },
      { trace: at('none.rep'), error: {} }
    ])
  })

  it('reports the operation for which a small heap had no room', async () => {
    const { code, out, err } = await offheap([
      'replay',
      '--size',
      '8K',
      at('traces', 'medium.rep.gz')
    ])
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toMatch(
      /^offheap: .*medium\.rep\.gz: operation \d+ \(line \d+\), malloc of \d+ bytes for id \d+: /
    )
    expect(err).toMatch(/: the heap of 8192 bytes .* --size \(see .*\n$/)
  })

  it('notes oddities of a file', async () => {
    const { code, err } = await offheap(['replay', at('odd.rep')])
    expect(code).toBe(0)
    expect(err).toBe('offheap: note: odd: the header says 7 operations, but there are 6\n')
  })

  it('draws progress only on a terminal, and clears it', async () => {
    expect((await offheap(['replay', at('traces')])).err).toBe('')
    const { err } = await offheap(['replay', at('traces')], { interactive: true })
    expect(err).toMatch(/^\r.\[K░{30} 0 % {2}[^\n]*\r.\[K$/)
  })

  it('prints ASCII if the terminal needs it', async () => {
    const { out } = await offheap(['replay', '--verify', at('traces')], { ascii: true })
    expect(out).toMatch(/^[\n -~]+$/)
  })

  it.each([
    [['replay'], "error: missing required argument 'trace'"],
    [['replay', 'no/such/file.rep'], 'offheap: there is no file or folder no/such/file.rep'],
    [['replay', '--size', '12parsecs', '.'], 'Give bytes, or KiB, MiB or GiB such as 64MiB or 1G.'],
    [['replay', '--placement', 'worst-fit', '.'], 'Allowed choices are first-fit'],
    [['replay', '--frobnicate', '.'], "error: unknown option '--frobnicate'"],
    [['reply'], "error: unknown command 'reply'\n(Did you mean replay?)"],
    [[], 'Usage: offheap [options] [command]']
  ])('exits with 2 for the command line %j', async (args, message) => {
    const { code, out, err } = await offheap(args)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain(message)
  })

  it('exits with 2 for a folder without traces', async () => {
    const { code, err } = await offheap(['replay', at('empty')])
    expect(code).toBe(2)
    expect(err).toBe(`offheap: the folder ${at('empty')} holds no .rep or .rep.gz file\n`)
  })
})

describe('offheap', () => {
  it('prints its help, with the exit codes', async () => {
    const { code, out, err } = await offheap(['--help'])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/replay .*\n +record /)
    expect(out).toContain('2  the command line was not valid')
    expect((await offheap(['replay', '--help'])).out).toContain('--verify')
  })

  it('prints the version of its package', async () => {
    const { version } = await import('../../package.json', { with: { type: 'json' } }).then(
      module => module.default
    )
    expect(await offheap(['--version'])).toEqual({ code: 0, out: `${version}\n`, err: '' })
  })
})
