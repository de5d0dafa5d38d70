/**
 * The exercise "write the test that breaks these ten allocators": ten allocators with a mistake
 * each, and some that have none. A test is a short trace. It breaks an allocator when the grader
 * finds it not valid on that trace.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliDecompressSync } from 'node:zlib'
import { OffheapError } from '../../errors.js'
import { labsFolder } from '../../labs-package.js'
import { readTrace } from '../../trace/read.js'
import type { LabConfig } from '../grade/config.js'
import { grade } from '../grade/grade.js'

/** A test says something by its choice of calls, and not by their number. */
export const MOST_TEST_OPERATIONS = 200

/** What is in labs/broken.br: sources of allocators. */
export interface Broken {
  readonly right: readonly string[]
  readonly wrong: readonly string[]
}

export interface Breaking {
  /** For each wrong allocator, the first test that breaks it and what was seen; or undefined. */
  readonly broken: readonly ({ readonly test: string; readonly what: string } | undefined)[]
  /** Tests on which a right allocator is not valid, which would be a mistake of the grader's. */
  readonly unfair: readonly string[]
}

/**
 * Runs tests, paths of `.rep` files, on all allocators.
 * @throws OffheapError `ERR_OFFHEAP_TRACE` for a test that can't be read or is too long.
 */
export async function breakAll(
  tests: readonly string[],
  config: LabConfig,
  progress: (share: number, what: string) => void = () => {}
): Promise<Breaking> {
  for (const path of tests) {
    const { length } = await readTrace(path)
    if (length > MOST_TEST_OPERATIONS)
      throw new OffheapError(
        'ERR_OFFHEAP_TRACE',
        `${path}: it has ${length} operations; a test has ${MOST_TEST_OPERATIONS} at most`
      )
  }
  const { right, wrong } = readBroken()
  const folder = mkdtempSync(join(tmpdir(), 'offheap-lab-'))
  const submission = join(folder, 'allocator.ts')
  // Nothing is measured, and books may be kept anywhere.
  const checked: LabConfig = { ...config, minimumOperations: 2 ** 27, stateOutside: 'note' }
  const resultsOf = async (source: string, done: number) => {
    progress(done / (right.length + wrong.length), `allocator ${done + 1}`)
    writeFileSync(submission, source)
    const { fault, results } = await grade({
      submission,
      config: checked,
      traces: tests,
      state: false
    })
    return tests.map((test, i) => ({ test, fault: fault ?? results[i]?.fault }))
  }
  try {
    const broken: ({ readonly test: string; readonly what: string } | undefined)[] = []
    for (const source of wrong) {
      const found = (await resultsOf(source, broken.length)).find(each => each.fault !== undefined)
      broken.push(
        found?.fault === undefined ? undefined : { test: found.test, what: found.fault.what }
      )
    }
    const unfair = new Set<string>()
    for (const [index, source] of right.entries()) {
      for (const { test, fault } of await resultsOf(source, wrong.length + index))
        if (fault !== undefined) unfair.add(test)
    }
    return { broken, unfair: [...unfair] }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The allocators, which lie packed in `labs/` so that nobody reads the mistakes by chance. */
export function readBroken(): Broken {
  const packed = readFileSync(join(labsFolder, 'broken.br'))
  return JSON.parse(brotliDecompressSync(packed).toString())
}
