import { describe, expect, it } from 'vitest'
import { offheap } from '../cli/terminal.js'
import { compileLab } from '../lab/compiled.js'

describe('offheap bench', () => {
  it('measures every contender, from the installed package', () => {
    const compiled = compileLab()
    try {
      const { code, out, err } = compiled.offheap(
        'bench',
        '--sizes',
        '64',
        '--live',
        '10',
        '--json'
      )
      expect(err).toBe('')
      expect(code).toBe(0)
      const { sizes, ...rest } = JSON.parse(out)
      expect(rest).toMatchObject({ as: 'buffer', cleared: false, live: 10, node: process.version })
      expect(sizes).toHaveLength(1)
      const [{ size, figures }] = sizes
      expect(size).toBe(64)
      const names = figures.map(({ contender }: { contender: string }) => contender)
      expect(names).toEqual(
        expect.arrayContaining(['first-fit', 'segregated-fit', 'Buffer.alloc', 'new Uint8Array'])
      )
      for (const figure of figures) {
        expect(figure.ns).toBeGreaterThan(0)
        expect(figure.timesAsFast).toBeGreaterThan(0)
        // Three in each of three rounds, at least.
        expect(figure.samples.length).toBeGreaterThanOrEqual(9)
      }
    } finally {
      compiled.remove()
    }
  })

  it('rejects invalid sizes, kinds and counts', async () => {
    expect(await offheap(['bench', '--sizes', '48,many'])).toMatchObject({ code: 2 })
    expect((await offheap(['bench', '--as', 'string'])).err).toMatch(/pointer, buffer, array/)
    expect((await offheap(['bench', '--live', '0'])).err).toMatch(/Give a whole number from 1/)
    const { code, err } = await offheap(['bench', '--sizes', '64,1MiB', '--live', '2000'])
    expect(code).toBe(2)
    expect(err).toMatch(
      /2000 blocks of 1048576 bytes are more than 1 GiB; give --live 1024 or less/
    )
  })

  it('prints its help', async () => {
    const { code, out } = await offheap(['bench', '--help'])
    expect(code).toBe(0)
    for (const option of ['--sizes', '--live', '--as', '--cleared', '--json', '--svg'])
      expect(out).toContain(option)
  })
})
