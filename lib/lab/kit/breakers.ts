/**
 * The exercise "write tests that break ten allocators": ten allocators with one mistake each, and
 * some correct ones. A test is a short trace. It breaks an allocator if the grader finds the
 * allocator invalid on it.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliDecompressSync } from 'node:zlib'
import { OffheapError } from '../../errors.js'
import { labsFolder } from '../../labs-package.js'
import { readTrace } from '../../trace/read.js'
import type { LabConfig } from '../grade/config.js'
import { grade } from '../grade/grade.js'
import { temporaryFolder } from '../grade/interrupt.js'

/** The most operations of a test: what counts is the choice of calls, not their number. */
export const MOST_TEST_OPERATIONS = 200

/** The contents of labs/broken.br: sources of allocators. */
export interface Broken {
  readonly right: readonly string[]
  readonly wrong: readonly string[]
}

export interface Breaking {
  /**
   * For each wrong allocator, the first test that breaks it and what the grader says; or
   * undefined.
   */
  readonly broken: readonly ({ readonly test: string; readonly what: string } | undefined)[]
  /** Tests on which a correct allocator is invalid, which would be a mistake of the grader. */
  readonly unfair: readonly string[]
}

/**
 * Runs tests, given as paths of `.rep` files, on all allocators.
 * @throws OffheapError `ERR_OFFHEAP_TRACE` if a test can't be read or is too long.
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
  const { path: folder, remove } = temporaryFolder()
  const submission = join(folder, 'allocator.ts')
  // Don't measure anything, and allow state outside the memory.
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
    remove()
  }
}

/** Reads the allocators. They are compressed, so that nobody reads the mistakes by accident. */
export function readBroken(): Broken {
  const packed = readFileSync(join(labsFolder, 'broken.br'))
  return JSON.parse(brotliDecompressSync(packed).toString())
}
