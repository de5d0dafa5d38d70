/**
 * Runs every sample of the README and of docs/, and compares its output with the comments after its
 * console.log calls.
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type InstalledPackage, installPackage, root } from './package.js'
import { anchorsOf, excerptOf, linksOf, pages, promised, readPage, samplesOf } from './pages.js'

let offheap: InstalledPackage

/** The characters of a drawing or of code that are visible without scrolling. */
const WIDEST = 92

beforeAll(() => {
  offheap = installPackage()
})

afterAll(() => offheap.remove())

/** A formatter moves an excerpt to the left. */
const withoutIndent = (code: string) => code.replace(/^ +/gm, '')

const samples = pages.flatMap(page => samplesOf(page).map(sample => ({ page, ...sample })))

describe('samples of the pages', () => {
  test('are found', () => {
    expect(samples.some(({ page }) => page === 'README.md')).toBe(true)
    expect(samples.length).toBeGreaterThanOrEqual(25)
  })

  const whole = samples.filter(sample => excerptOf(sample) === undefined)
  test.concurrent.each(whole)('$place', async ({ page, text }) => {
    const expected = promised(text)
    // Every console.log needs a comment with the expected output.
    expect(text.split('console.log(')).toHaveLength(expected.length + 1)
    const { code, out, err } = await offheap.sample(text, dirname(page))
    expect(err).toBe('')
    expect(out.split('\n').slice(0, -1)).toEqual(expected)
    expect(code).toBe(0)
  })

  const excerpts = samples.flatMap(sample => ({ ...sample, excerpt: excerptOf(sample) }))
  test.each(excerpts.filter(({ excerpt }) => excerpt !== undefined))(
    '$place is in its file',
    ({ page, excerpt }) => {
      const file = readFileSync(join(root, dirname(page), excerpt?.file ?? ''), 'utf8')
      expect(withoutIndent(file)).toContain(withoutIndent(excerpt?.text ?? ''))
    }
  )
})

test.each(pages)('%s: no heading contains code, and no frame is too wide', page => {
  const text = readPage(page)
  // TypeDoc leaves code out where it lists the headings of a page.
  expect(text.match(/^#+ .*`/gm)).toBe(null)
  if (page === 'README.md') return
  const frames = [...text.matchAll(/^```[^\n]*\n([\s\S]*?)^```/gm)].map(([, frame = '']) => frame)
  expect(frames.flatMap(frame => frame.split('\n')).filter(line => line.length > WIDEST)).toEqual(
    []
  )
})

describe('links on the pages', () => {
  const links = pages.flatMap(page => linksOf(readPage(page)).map(link => ({ page, link })))
  const local = links.filter(({ link }) => !/^[a-z]+:/.test(link))

  test.each(local)('$page: $link', ({ page, link }) => {
    const [path = '', anchor] = link.split('#')
    const target = path === '' ? page : join(dirname(page), path)
    expect(existsSync(join(root, target)), `${target} is there`).toBe(true)
    if (anchor !== undefined) expect(anchorsOf(readPage(target))).toContain(anchor)
  })
})
