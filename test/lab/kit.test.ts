import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync, gunzipSync, inflateRawSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readBroken } from '../../lib/lab/kit/breakers.js'
import { layKit } from '../../lib/lab/kit/kit.js'
import { seededTraces, shippedTraces } from '../../lib/lab/kit/patterns.js'
import { fingerprints, similarity } from '../../lib/lab/kit/similarity.js'
import { labTrace } from './compiled.js'
import { solution } from './solutions.js'
import { brokenAllocators } from './wrong.js'

const starter = readFileSync('labs/starter/allocator.ts', 'utf8')

describe('offheap lab kit', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'offheap-test-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  /** Reads the entries of a zip archive, by its local headers. */
  function unzip(bytes: Buffer): Map<string, string> {
    const entries = new Map<string, string>()
    for (let at = 0; bytes.readUInt32LE(at) === 0x04034b50; ) {
      const [packed, name] = [bytes.readUInt32LE(at + 18), bytes.readUInt16LE(at + 26)]
      const begin = at + 30 + name
      entries.set(
        bytes.toString('utf8', at + 30, begin),
        inflateRawSync(bytes.subarray(begin, begin + packed)).toString('latin1')
      )
      at = begin + packed
    }
    return entries
  }

  it(
    'lays out an autograder, a container and a workflow with this version, and overwrites ' +
      'nothing',
    () => {
      layKit(folder)
      const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
      for (const name of ['Dockerfile', 'gradescope/setup.sh', '.github/workflows/classroom.yml']) {
        expect(readFileSync(join(folder, name), 'utf8')).toContain(
          `offheap@${version} offheap-labs@${version} esbuild typescript`
        )
      }
      writeFileSync(join(folder, 'traces', 'own.rep'), 'a 0 8\n')
      writeFileSync(join(folder, 'lab.jsonc'), '{}')
      const { kept } = layKit(folder)
      expect(kept).toContain('lab.jsonc')
      const entries = unzip(readFileSync(join(folder, 'autograder.zip')))
      expect(entries.get('lab.jsonc')).toBe('{}')
      expect(entries.get('traces/own.rep')).toBe('a 0 8\n')
      expect(entries.get('run_autograder')).toContain('--format gradescope')
    }
  )
})

describe('the ten allocators of `offheap lab break`', () => {
  // After a change of the solutions or of the wrong allocators, OFFHEAP_PACK=1 writes them again.
  it('are those of test/lab/wrong.ts', () => {
    const expected = brokenAllocators()
    if (process.env.OFFHEAP_PACK !== undefined)
      writeFileSync('labs/broken.br', brotliCompressSync(JSON.stringify(expected)))
    expect(readBroken()).toEqual(expected)
    expect(expected.wrong.length).toBe(10)
  })
})

describe('traces generated from a seed', () => {
  it('are the same for the same seed, and differ for another', () => {
    const [one, same, other] = ['a', 'a', 'b'].map(seed => seededTraces(seed))
    expect(one).toEqual(same)
    expect([...(other?.keys() ?? [])]).toEqual([...(one?.keys() ?? [])])
    for (const [name, text] of one ?? []) expect(other?.get(name), name).not.toBe(text)
  })

  it('are the shipped ones for the shipped seed', () => {
    for (const [name, text] of shippedTraces()) {
      const bytes = readFileSync(labTrace(name))
      const shipped = labTrace(name).endsWith('.gz') ? gunzipSync(bytes) : bytes
      expect(shipped.toString(), name).toBe(text)
    }
  })
})

describe('the similarity of two submissions', () => {
  it('ignores names, comments, whitespace and the starter', () => {
    const none = new Set<number>()
    const own = solution(4)
    const renamed = own
      .replace(/\/\*\*?[\s\S]*?\*\//g, '')
      .replace(/\b(block|size|next|previous|first|rest)\b/g, '$1_')
      .replace(/\n/g, '\n  ')
    expect(similarity(fingerprints(own), fingerprints(renamed), none)).toBeGreaterThan(0.9)
    expect(similarity(fingerprints(own), fingerprints(starter), none)).toBeLessThan(0.5)
    expect(similarity(fingerprints(starter), fingerprints(starter), fingerprints(starter))).toBe(0)
  })
})
