/** The page in a real browser: headless Chromium, from CHROMIUM or where systems install it. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { History } from '../../lib/report/history.js'
import { viewPage } from '../../lib/report/view-page.js'
import { launchChromium, noChromium, reason } from '../chromium.js'
import { HANG } from '../hang.js'
import { randomTrace, timelineOf, traceOf } from './timelines.js'

/** One block that is never freed, and above it four, of which two are freed. */
const LINES = ['a 0 400', 'a 1 40', 'a 2 40', 'a 3 40', 'a 4 40', 'r 0 404', 'f 1', 'f 3', 'a 5 4']

/** Five slots of 96 bytes fill a slab, which leaves 32 bytes over; then two of them are freed. */
const SLOTS = ['a 0 90', 'a 1 90', 'a 2 90', 'a 3 90', 'a 4 90', 'a 5 1000', 'f 1', 'f 2']

describe.skipIf(noChromium)(`the page of offheap view${reason}`, () => {
  let folder = ''
  let browser: Browser
  let low = 0
  let high = 0
  let firstSlab = 0
  const problems: string[] = []

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'offheap-page-'))
    const small = traceOf(LINES, 'small')
    const random = randomTrace(4000)
    writeFileSync(
      join(folder, 'small.html'),
      viewPage({ trace: small, timelines: [timelineOf(small)] })
    )
    const timeline = timelineOf(random)
    const both = [timeline, { ...timeline, label: 'gaps only', freeList: undefined }]
    writeFileSync(join(folder, 'two.html'), viewPage({ trace: random, timelines: both }))
    const slots = traceOf(SLOTS, 'slots')
    const slabs = timelineOf(slots, 'first-fit', 2 ** 22, true)
    const history = new History(slots, slabs)
    low = history.low
    high = history.high
    firstSlab = history.slabs.all[0].offset
    writeFileSync(join(folder, 'slabs.html'), viewPage({ trace: slots, timelines: [slabs] }))
    browser = await launchChromium()
  })
  afterEach(() => {
    expect(problems.splice(0)).toEqual([])
  })
  afterAll(async () => {
    await browser.close()
    rmSync(folder, { recursive: true })
  })

  async function open(name: string, colorScheme: 'light' | 'dark' = 'light'): Promise<Page> {
    const page = await browser.newPage({ viewport: { width: 1400, height: 1000 }, colorScheme })
    page.setDefaultTimeout(HANG)
    page.on('pageerror', error => problems.push(error.message))
    page.on('console', message => {
      if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text())
    })
    page.on('request', request => {
      if (!/^(file|data):/.test(request.url())) problems.push(`asked for ${request.url()}`)
    })
    await page.goto(pathToFileURL(join(folder, name)).href)
    await page.waitForSelector('html[data-ready]')
    return page
  }

  /** Waits until the page reports it. */
  const says = (page: Page, selector: string, text: string | RegExp) =>
    page.locator(selector, { hasText: text }).first().waitFor()

  it('opens at the peak, with the operation in words and figures', async () => {
    const page = await open('small.html')
    await says(page, '#moment', 'After operation 6 (line 6), realloc of id 0 to 404 bytes.')
    await says(page, '#about', '9 operations on 6 ids, at most 564 B of payload')
    await says(page, '[data-say=payload]', '564 B')
    await says(page, '[data-say=result]', /^Moved from byte|^Stayed at byte/)
    expect(await page.locator('#scrubber').inputValue()).toBe('6')
    await page.close()
  })

  it('changes the moment with buttons, scrubber, number and keyboard', async () => {
    const page = await open('small.html')
    const at = (n: number) =>
      says(page, '#moment', n === 0 ? 'Before the first' : `After operation ${n} `)
    await page.getByRole('button', { name: 'One operation forward' }).click()
    await at(7)
    await page.getByRole('button', { name: 'First operation' }).click()
    await at(0)
    await page.getByRole('slider', { name: 'Operation' }).fill('4')
    await at(4)
    await page.getByRole('spinbutton', { name: 'operation' }).fill('9')
    await page.keyboard.press('Enter')
    await at(9)
    await page.getByRole('slider', { name: 'Operation' }).focus()
    await page.keyboard.press('ArrowLeft')
    await at(8)
    expect(
      await page.getByRole('slider', { name: 'Operation' }).getAttribute('aria-valuetext')
    ).toContain('free of id 3')
    await page.keyboard.press('Home')
    await at(0)
    await page.keyboard.press('Shift+ArrowRight')
    await at(9)
    await page.keyboard.press('p')
    await at(6)
    await page.close()
  })

  it('plays to the end and stops', async () => {
    const page = await open('small.html')
    await page.getByRole('combobox', { name: 'speed' }).selectOption('1000')
    await page.getByRole('button', { name: 'Play' }).click()
    await says(page, '#moment', 'After operation 9 ')
    await page.getByRole('button', { name: 'Play' }).waitFor()
    await page.close()
  })

  it('describes the block under the pointer: size, place, allocation, age', async () => {
    const page = await open('small.html')
    await page.getByRole('slider', { name: 'Operation' }).fill('5')
    const rows = page.locator('canvas.rows')
    // The first block begins in the first row.
    await rows.hover({ position: { x: 200, y: 30 } })
    await says(page, '#tip', '400 bytes, id 0')
    await says(page, '#tip', /whole block 408 bytes: header 4, slack 4/)
    await says(page, '#tip', 'allocated by operation 1 (line 1), malloc of 400 bytes for id 0')
    await says(page, '#tip', 'age 4 operations')
    await says(page, '[data-say=target]', '400 bytes, id 0')
    // On the map, the same block is the lowest one until the realloc moves it.
    await page.locator('canvas.map').hover({ position: { x: 250, y: 300 } })
    await says(page, '#tip', 'until operation 6 (line 6), realloc of id 0 to 404 bytes')
    await page.locator('canvas.map').hover({ position: { x: 20, y: 300 } })
    await page.locator('#tip').waitFor({ state: 'hidden' })
    await page.close()
  })

  it('describes slots, used and free, the rest of slabs, room for slabs and the list', async () => {
    const page = await open('slabs.html')
    await page.keyboard.press('End')
    await says(
      page,
      '[data-say=slabs]',
      '1 slab in 1 chunk, with room for 7 more; 3 of 5 slots used.'
    )
    const rows = page.locator('canvas.rows')
    const width = (await rows.boundingBox())?.width ?? 0
    // Twice as wide, twice: the whole heap in rows of 1,024 bytes.
    for (let i = 0; i < 2; i++)
      await page.getByRole('button', { name: 'Wider', exact: true }).click()
    const point = async (address: number) => {
      const away = address - Math.floor(low / 1024) * 1024
      const x = 68 + ((away % 1024) / 1024) * (width - 82)
      await rows.hover({ position: { x, y: 30 + Math.floor(away / 1024) * 44 } })
    }
    await point(firstSlab + 10)
    await says(page, '#tip', '90 bytes, id 0')
    await says(page, '#tip', 'whole slot 96 bytes: slack 6')
    await says(page, '#tip', 'in a slab of 96-byte slots, 3 of 5 used')
    await point(firstSlab + 100)
    await says(page, '#tip', 'free slot of 96 bytes')
    await says(
      page,
      '[data-say=target]',
      'free slot of 96 bytes; in a slab of 96-byte slots, 3 of 5 used; bytes'
    )
    await point(firstSlab + 490)
    await says(page, '#tip', '32 bytes after the last slot')
    await point(firstSlab + 600)
    await says(page, '#tip', '512 bytes of a chunk: room for a slab')
    await point(firstSlab - 2)
    await says(page, '#tip', 'header of a chunk of slabs, 4 bytes')
    // On the map, an earlier moment: all five slots were used, and the second one was not free yet.
    const map = page.locator('canvas.map')
    const away = (firstSlab + 144 - low) / (high - low) / 1.03
    await map.hover({
      position: {
        x: 68 + (6.5 / 8) * (((await map.boundingBox())?.width ?? 0) - 82),
        y: 308 - away * 300
      }
    })
    await says(page, '#tip', '90 bytes, id 1')
    await says(page, '#tip', 'in a slab of 96-byte slots, 5 of 5 used')
    await page.close()
  })

  it('draws used slots, free slots and room for slabs differently, in light and dark', async () => {
    for (const scheme of ['light', 'dark'] as const) {
      const page = await open('slabs.html', scheme)
      await page.keyboard.press('End')
      await says(page, '[data-say=slabs]', '3 of 5 slots used')
      const color = (name: string) =>
        page.evaluate(
          `getComputedStyle(document.documentElement).getPropertyValue('--${name}').trim()`
        )
      const names = [
        'slot',
        'slot-free',
        'slot-lines',
        'granule',
        'granule-lines',
        'free',
        'size-3',
        'plot'
      ]
      const colors = await Promise.all(names.map(color))
      expect(new Set(colors).size).toBe(names.length)
      const drawn: unknown = await page.evaluate(`(() => {
        const { width, height } = document.querySelector('canvas.rows')
        const context = document.querySelector('canvas.rows').getContext('2d')
      const { data } = context.getImageData(0, 0, width, height)
        const found = new Set()
        for (let i = 0; i < data.length; i += 4) {
          const hex = [...data.slice(i, i + 3)].map(byte => byte.toString(16).padStart(2, '0'))
          found.add('#' + hex.join(''))
        }
        return [...found]
      })()`)
      for (const name of ['slot', 'slot-free', 'slot-lines', 'granule', 'granule-lines']) {
        expect(drawn, `${name} in ${scheme}`).toContain(colors[names.indexOf(name)])
      }
      await page.close()
    }
  })

  it('goes to the moment of a click on the map, and zooms in on a drag', async () => {
    const page = await open('two.html')
    const map = page.locator('canvas.map').first()
    const place = { x: 75, y: 200 }
    const operation = async () => Number(await page.locator('#operation').inputValue())
    await map.click({ position: place })
    await expect.poll(operation).toBeLessThan(300)
    const box = await map.boundingBox()
    if (box === null) throw new Error('the map is not there')
    await page.mouse.move(box.x + 200, box.y + 100)
    await page.mouse.down()
    await page.mouse.move(box.x + 300, box.y + 200, { steps: 3 })
    await page.mouse.up()
    await map.click({ position: place })
    await expect.poll(operation).toBeGreaterThan(600)
    await page.getByRole('button', { name: 'Whole trace' }).click()
    await map.click({ position: place })
    await expect.poll(operation).toBeLessThan(300)
    await page.close()
  })

  it('goes along the free list and from block to block', async () => {
    const page = await open('small.html')
    await page.keyboard.press('End')
    await says(page, '[data-say=list]', /^Free list: \d blocks?, /)
    await page.keyboard.press('n')
    await says(
      page,
      '[data-say=target]',
      /^free block of \d+ bytes; .*number 1 of \d in the free list/
    )
    await page.keyboard.press('N')
    await says(page, '[data-say=target]', /last in the list/)
    await page.keyboard.press('b')
    await says(page, '[data-say=target]', /allocated by operation/)
    await page.keyboard.press('Escape')
    await expect.poll(() => page.locator('[data-say=target]').textContent()).toBe('')
    await page.close()
  })

  it('shows two allocators at the same moment', async () => {
    const page = await open('two.html')
    expect(await page.locator('h2').allTextContents()).toEqual(['first-fit', 'gaps only'])
    await page.keyboard.press('End')
    await says(page, '#moment', 'After operation 4000 ')
    const [one, two] = await page.locator('[data-say=payload]').allTextContents()
    expect(one).toBe(two)
    await says(page, '[data-say=list]', 'This allocator shows no free list')
    await page.close()
  })

  it("follows the system's light or dark until the reader chooses", async () => {
    const page = await open('small.html', 'dark')
    const background = () => page.evaluate('getComputedStyle(document.body).backgroundColor')
    const rows = page.locator('canvas.rows')
    const dark = await background()
    const darkRows = await rows.screenshot()
    await page.emulateMedia({ colorScheme: 'light' })
    await expect.poll(background).not.toBe(dark)
    await expect.poll(async () => Buffer.compare(darkRows, await rows.screenshot())).not.toBe(0)
    await page.keyboard.press('t')
    await expect.poll(background).toBe(dark)
    await expect.poll(async () => Buffer.compare(darkRows, await rows.screenshot())).toBe(0)
    await page.close()
  })
})
