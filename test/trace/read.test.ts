import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readTrace, traceName } from '../../lib/trace/read.js'

const TEXT = `# ${'a long comment '.repeat(20_000)}\n1000\n1\n2\n1\na 0 8\nf 0\n`

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'offheap-read-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function file(name: string, bytes: string | Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}

describe('readTrace', () => {
  it('reads plain and gzipped files', async () => {
    for (const path of [file('t.rep', TEXT), file('t.rep.gz', gzipSync(TEXT))]) {
      const trace = await readTrace(path)
      expect(trace).toMatchObject({ name: 't', length: 2, ids: 1 })
      expect(Array.from(trace.lines)).toEqual([6, 7])
    }
  })

  it('recognizes gzip by its first bytes, not by the name', async () => {
    expect((await readTrace(file('plain.rep.gz', TEXT))).length).toBe(2)
    expect((await readTrace(file('zipped.rep', gzipSync(TEXT)))).length).toBe(2)
  })

  it('reads gzip files of several members', async () => {
    const bytes = Buffer.concat([gzipSync('a 0 8\na 1'), gzipSync(' 8\nf 0\n')])
    expect((await readTrace(file('members.rep.gz', bytes))).length).toBe(3)
  })

  it('names the file and the line where gzip data is truncated', async () => {
    // Random sizes, so that the cut text reaches well into the file.
    const lines = Array.from({ length: 5000 }, (_, i) => `a ${i} ${(i * 7919) % 10007}\n`).join('')
    const bytes = gzipSync(lines)
    const path = file('cut.rep.gz', bytes.subarray(0, bytes.length / 2))
    await expect(readTrace(path)).rejects.toMatchObject({
      code: 'ERR_OFFHEAP_TRACE',
      message: expect.stringMatching(
        /cut\.rep\.gz:\d+: the gzip data ends too early: the file was cut short \(see/
      )
    })
  })

  it('reports damaged gzip data', async () => {
    const bytes = gzipSync(TEXT)
    bytes.fill(0xff, 12, 60)
    await expect(readTrace(file('bad.rep.gz', bytes))).rejects.toMatchObject({
      code: 'ERR_OFFHEAP_TRACE',
      message: expect.stringContaining('the gzip data is damaged')
    })
  })

  it('refuses binary data, gzipped or not', async () => {
    const garbage = Uint8Array.from({ length: 10_000 }, (_, i) => (i * 151 + 7) & 0xff)
    for (const bytes of [garbage, gzipSync(garbage)]) {
      await expect(readTrace(file('garbage.rep', bytes))).rejects.toMatchObject({
        code: 'ERR_OFFHEAP_TRACE',
        message: expect.stringMatching(
          /garbage\.rep:1: byte 0x[0-9a-f]{2} is not text; this is not a \.rep trace \(see/
        )
      })
    }
  })

  it.each(['', 'a'])('refuses a file of fewer bytes than the magic number: %j', async text => {
    await expect(readTrace(file('short.rep', text))).rejects.toMatchObject({
      code: 'ERR_OFFHEAP_TRACE'
    })
  })

  it("reports the system's error for a missing file", async () => {
    await expect(readTrace(join(folder, 'none.rep'))).rejects.toMatchObject({
      code: 'ERR_OFFHEAP_SYSTEM',
      errno: 2,
      syscall: 'open',
      message: expect.stringContaining("none.rep: can't be read: ENOENT")
    })
  })
})

describe('readTrace of endless input', () => {
  it.skipIf(process.platform === 'win32')('refuses /dev/zero at its first byte', async () => {
    await expect(readTrace('/dev/zero')).rejects.toMatchObject({
      code: 'ERR_OFFHEAP_TRACE',
      message: expect.stringContaining('is not text; this is not a .rep trace')
    })
  })

  it('refuses gzip data that inflates to zeros without end', async () => {
    const zeros = Buffer.concat(Array.from({ length: 3 }, () => gzipSync(Buffer.alloc(2 ** 24))))
    await expect(readTrace(file('zeros.rep.gz', zeros))).rejects.toMatchObject({
      message: expect.stringContaining('zeros.rep.gz:1: byte 0x00 is not text')
    })
  })
})

describe('traceName', () => {
  it('is the name of the file without its extension', () => {
    expect(['a/b/vim.rep.gz', 'vim.rep', 'x.txt', 'a.rep.b.rep'].map(traceName)).toEqual([
      'vim',
      'vim',
      'x.txt',
      'a.rep.b'
    ])
  })
})
