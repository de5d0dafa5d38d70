/** The page of `offheap play` in a real browser. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Heap } from '../../lib/heap/heap.js'
import { placements } from '../../lib/placement/policies.js'
import { compileAllocator } from '../../lib/play/compile.js'
import { playPage } from '../../lib/play/play-page.js'
import { launchChromium, noChromium, reason } from '../chromium.js'
import { HANG } from '../hang.js'
import { LOW_CONTRAST } from './contrast.js'

const SIZES = [
  [1024, 768],
  [1920, 1080],
  [420, 900]
] as const
const CALLS = '#first-fit&size=4096&calls=m24.m100.m8.f1.m30.r0x200.c4x8.l64x24.f0.f0'
const SLABS = '#segregated-fit&size=65536&slabs&against=best-fit&calls=m40.m40.m200.f1&at=3.1'

describe.skipIf(noChromium)(`the page of offheap play${reason}`, () => {
  let folder = ''
  let browser: Browser
  const problems: string[] = []

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'offheap-play-'))
    writeFileSync(
      join(folder, 'play.html'),
      playPage({ placement: 'first-fit', slabs: false, size: 4096, calls: '' })
    )
    browser = await launchChromium()
  })
  afterEach(() => {
    expect(problems.splice(0)).toEqual([])
  })
  afterAll(async () => {
    await browser.close()
    rmSync(folder, { recursive: true })
  })

  async function open(
    hash = '',
    [width, height]: readonly [number, number] = SIZES[1],
    dark = false
  ): Promise<Page> {
    const page = await browser.newPage({
      viewport: { width, height },
      colorScheme: dark ? 'dark' : 'light'
    })
    page.setDefaultTimeout(HANG)
    page.on('pageerror', error => problems.push(error.message))
    page.on('console', message => {
      if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text())
    })
    page.on('request', request => {
      if (!/^(file|data):/.test(request.url())) problems.push(`asked for ${request.url()}`)
    })
    await page.goto(pathToFileURL(join(folder, 'play.html')).href + hash)
    await page.waitForSelector('html[data-ready]')
    return page
  }

  const says = (page: Page, text: string | RegExp) =>
    page.locator('#status', { hasText: text }).waitFor()
  const press = (page: Page, name: string) =>
    page.getByRole('button', { name, exact: true }).click()
  const type = async (page: Page, text: string, key = 'Enter') => {
    await page.locator('#command').fill(text)
    await page.locator('#command').press(key)
  }
  const lines = (page: Page) => page.locator('#calls li').allInnerTexts()

  it('runs typed and clicked calls, and shows their results', async () => {
    const page = await open()
    await says(page, 'An empty heap')
    await type(page, 'malloc(24)')
    await says(page, /a = malloc\(24\) returned 424: \d+ stores/)
    await page.getByRole('spinbutton', { name: 'bytes' }).fill('100')
    await press(page, 'malloc(100)')
    await press(page, 'calloc(1, 100)')
    await press(page, 'aligned(64, 100)')
    await page.locator('.strip .part', { hasText: /^b/ }).click()
    await press(page, 'realloc(b, 100)')
    await press(page, 'free(b)')
    await says(page, /free\(b\): \d+ stores/)
    expect((await lines(page)).map(line => line.split(/\s{2,}|\n/)[0])).toEqual([
      'a = malloc(24)',
      'b = malloc(100)',
      'c = calloc(1, 100)',
      'd = alignedAlloc(64, 100)',
      'b = realloc(b, 100)',
      'free(b)'
    ])
    await type(page, 'free b')
    await says(page, 'free(b) threw: free: the block at 456 is free already')
    await type(page, 'frei b')
    await says(page, '"frei b" is not a call')
    expect(await page.locator('#status').getAttribute('class')).toContain('error')
    await press(page, 'Clear')
    await says(page, 'An empty heap')
    await page.close()
  })

  it('steps inside a call and shows the source line, word and bits of each store', async () => {
    const page = await open()
    await type(page, 'malloc 24; malloc 100; malloc 8; free b')
    await type(page, 'malloc 30', 'Shift+Enter')
    await says(page, 'free(b)')
    const stores: string[] = []
    for (;;) {
      await page.keyboard.press('ArrowRight')
      const text = await page.locator('#status').innerText()
      const [code, place] = await Promise.all([
        page.locator('.line.current code').allInnerTexts(),
        page.locator('#place').innerText()
      ])
      stores.push(
        `${/store \d+ of/.test(text) ? text : 'the end'} | ${place} | ${code.join().trim()}`
      )
      if (!/store \d+ of/.test(text)) break
    }
    expect(stores.at(0)).toMatch(
      /store 1 of 11: index at 412: 113 → 123\. \| lib\/placement\/card-index\.ts:\d+ \| /
    )
    const [footer, footerPlace, footerCode] = stores[6].split(' | ')
    expect(footer).toContain('footer at 552: 64 bytes.')
    expect(footerPlace).toMatch(/^lib\/layout\/block\.ts:\d+$/)
    expect(footerCode).toBe('words[block + size - 1] = size')
    const [header, headerPlace, headerCode] = stores[7].split(' | ')
    expect(header).toContain('header at 452: 104 bytes free → 40 bytes used.')
    expect(headerPlace).toMatch(/^lib\/engine\/blocks\.ts:\d+$/)
    expect(headerCode).toContain('words[block] = ')
    expect(stores).toHaveLength(11)
    await page.keyboard.press('ArrowLeft')
    await page.keyboard.press('ArrowLeft')
    await page.keyboard.press('ArrowLeft')
    await says(page, 'store 8 of 11')
    expect(await page.locator('#bits h2').innerText()).toBe(
      'The word at byte 452, header, before and after'
    )
    const bits = await page.locator('#bits .value').allInnerTexts()
    expect(bits.map(text => text.replace(/\s/g, ''))).toEqual([
      '000000000000000000000000001101size/8:13×8=1041P0U',
      '000000000000000000000000000101size/8:5×8=401P1U'
    ])
    expect(await page.locator('#chain .call').allInnerTexts()).toEqual([
      'Allocator.allocate',
      'Allocator.serve',
      'Blocks.place'
    ])
    await page.close()
  })

  it('shows a source line that stores for every step, with each placement', async () => {
    const page = await open()
    const calls = 'm24.m100.m8.f1.m30.r0x60.r0x300.c4x8.l64x24.f0'
    for (const options of [...placements, 'segregated-fit&slabs&size=65536']) {
      await page.evaluate(`location.hash = '${options}&bare&calls=${calls}'`)
      await says(page, 'free(a)')
      await page.keyboard.press('Home')
      const wrong = await page.evaluate(`(() => {
        const wrong = []
        const stores = /\\] [-+|&^]?= |\\]\\+\\+|\\]--|\\.fill\\(|\\.copyWithin\\(/
        for (let i = 0; i < 300 && !document.querySelector('#store').disabled; i++) {
          document.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }))
          const code = document.querySelector('.line.current code')?.textContent ?? 'none'
          if (!stores.test(code)) wrong.push(code)
        }
        return wrong
      })()`)
      expect(wrong, options).toEqual([])
    }
    await page.close()
  })

  it("runs the package's allocator: the bytes equal those of a heap", async () => {
    const page = await open()
    for (const placement of placements) {
      const words: unknown = await page.evaluate(`(() => {
        const options = { placement: '${placement}', slabs: false, size: 8192 }
        const player = offheapScripts.engine.load().openOwn(options)
        const pointers = [24, 100, 8, 300, 16].map(size => player.malloc(size))
        player.free(pointers[1])
        player.free(pointers[3])
        player.realloc(pointers[0], 60)
        player.calloc(4, 20)
        player.alignedAlloc(64, 10)
        return [...player.recorder.words]
      })()`)
      using heap = Heap.map({ size: 8192, placement })
      const pointers = [24, 100, 8, 300, 16].map(size => heap.malloc(size))
      heap.free(pointers[1])
      heap.free(pointers[3])
      heap.realloc(pointers[0], 60)
      heap.calloc(4, 20)
      heap.alignedAlloc(64, 10)
      expect(words, placement).toEqual([...heap.i32])
    }
    await page.close()
  })

  it('keeps its whole state in its address', async () => {
    const page = await open()
    await page
      .getByRole('combobox', { name: 'preset' })
      .selectOption({ label: 'First fit against best fit' })
    await type(page, 'malloc 30; free b; realloc a 100')
    await page.keyboard.press('ArrowLeft')
    await page.keyboard.press('ArrowLeft')
    const shown = (of: Page) => of.locator('main').innerText()
    const before = await shown(page)
    await press(page, 'Copy link')
    const other = await open(new URL(page.url()).hash)
    await says(other, /store \d+ of/)
    expect(await shown(other)).toBe(before)
    expect(await other.locator('.lane').count()).toBe(2)
    await page.close()
    await other.close()
    const wrong = await open('#calls=m24.x')
    await says(wrong, 'The link has "x" where a call should be')
    await wrong.close()
  })

  it('can be used with the keyboard alone', async () => {
    const page = await open(CALLS)
    const key = (name: string) => page.keyboard.press(name)
    await key('Home')
    await says(page, 'Before a = malloc(24).')
    await key('PageDown')
    await says(page, 'a = malloc(24) returned 424')
    await key('ArrowRight')
    await says(page, 'b = malloc(100), store 1 of')
    await key('ArrowUp')
    await says(page, 'a = malloc(24) returned 424')
    await key('ArrowDown')
    await says(page, 'b = malloc(100) returned 456')
    await key('b')
    await key('b')
    expect(await page.locator('#free').innerText()).toBe('free(b)')
    await key('B')
    await key('f')
    await says(page, /free\(a\): \d+ stores/)
    const rows = () => page.locator('#words .row').count()
    const before = await rows()
    await key('h')
    expect(await rows()).toBeGreaterThan(before)
    await key('/')
    await page.keyboard.type('malloc 16')
    await key('Enter')
    await says(page, 'c = malloc(16) returned 424')
    // The command line is empty, so arrows step again.
    await key('ArrowLeft')
    await says(page, 'c = malloc(16), store')
    await key('Escape')
    await key('?')
    await page.getByRole('heading', { name: 'Keys' }).waitFor()
    await key('Escape')
    await key('End')
    // The page keeps playing while the test looks, so it records what it shows.
    await page.evaluate(`{
      globalThis.seen = []
      const note = () => seen.push(document.body.innerText)
      new MutationObserver(note).observe(document.body, {
        subtree: true, childList: true, characterData: true
      })
    }`)
    await key(' ')
    await page.evaluate(`new Promise(resolve => {
      const look = () => {
        const isSeen = seen.some(text => text.includes('Before a =') && text.includes('Pause'))
        if (isSeen) resolve()
        else requestAnimationFrame(look)
      }
      look()
    })`)
    await key(' ')
    await page.getByRole('button', { name: 'Play' }).waitFor()
    await page.close()
  })

  it.each(SIZES)(
    'fits a window of %i x %i, with enough contrast in light and dark',
    async (width, height) => {
      for (const dark of [false, true]) {
        const page = await open(width === 1024 ? SLABS : `${CALLS}&at=4.3`, [width, height], dark)
        expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBe(0)
        expect(await page.evaluate(LOW_CONTRAST)).toEqual([])
        await page.keyboard.press('?')
        expect(await page.evaluate(LOW_CONTRAST)).toEqual([])
        await page.close()
      }
    }
  )

  it("follows the system's colour scheme until the user chooses one", async () => {
    const page = await open('', SIZES[0], true)
    const background = () => page.evaluate('getComputedStyle(document.body).backgroundColor')
    const dark = await background()
    await page.emulateMedia({ colorScheme: 'light' })
    await expect.poll(background).not.toBe(dark)
    await page.keyboard.press('t')
    await expect.poll(background).toBe(dark)
    await page.close()
  })

  it('shows each step in the next frame, forward and back', async () => {
    const page = await open(CALLS)
    await page.keyboard.press('Home')
    const frames = await page.evaluate(`(async () => {
      const frame = () => new Promise(requestAnimationFrame)
      const shown = () => document.querySelector('#status').textContent
      const count = { steps: 0, frames: 0 }
      for (const key of ['ArrowRight', 'ArrowLeft']) {
        for (let i = 0; i < 30; i++) {
          const before = shown()
          await frame()
          document.dispatchEvent(new KeyboardEvent('keydown', { key }))
          await frame()
          count.frames++
          if (shown() !== before) count.steps++
        }
      }
      return count
    })()`)
    expect(frames).toEqual({ steps: 60, frames: 60 })
    await page.close()
  })
})

const LIST = 'test/play/list-allocator.ts'

describe.skipIf(noChromium)(`the page of an allocator of the lab${reason}`, () => {
  let folder = ''
  let browser: Browser
  const problems: string[] = []

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'offheap-play-'))
    const text = readFileSync(LIST, 'utf8')
    const write = async (name: string, from: string, to: string) => {
      expect(text).toContain(from)
      writeFileSync(join(folder, `${name}.ts`), text.replace(from, to))
      const config = {
        submission: `${name}.ts`,
        placement: 'first-fit',
        slabs: false,
        size: 65_536,
        calls: ''
      } as const
      writeFileSync(
        join(folder, `${name}.html`),
        playPage(config, await compileAllocator(join(folder, `${name}.ts`)))
      )
    }
    await write('list', 'SMALLEST = 16', 'SMALLEST = 16')
    await write('mute', ', describe }', ' }')
    await write('liar', 'freeList.push(block)', 'freeList.push(block + 8)')
    await write(
      'endless',
      'block = u32[(block + 4) / 4]) {\n      const have',
      'block = head) {\n      const have'
    )
    await write('nothing', 'return { malloc, free, realloc, describe }', 'return { malloc }')
    browser = await launchChromium()
  })
  afterEach(() => {
    expect(problems.splice(0)).toEqual([])
  })
  afterAll(async () => {
    await browser.close()
    rmSync(folder, { recursive: true })
  })

  async function open(name: string, calls: string): Promise<Page> {
    const page = await browser.newPage({ viewport: { width: 1400, height: 900 } })
    page.setDefaultTimeout(HANG)
    page.on('pageerror', error => problems.push(error.message))
    page.on('console', message => {
      if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text())
    })
    await page.goto(`${pathToFileURL(join(folder, `${name}.html`)).href}#calls=${calls}`)
    await page.waitForSelector('html[data-ready]')
    return page
  }
  const says = (page: Page, text: string | RegExp) =>
    page.locator('#status', { hasText: text }).waitFor()
  const cells = (page: Page, role: string) => page.locator(`.word.${role} b`).allInnerTexts()
  const CALLS = 'm24.m100.m8.m40.m8.f1.f3'

  it('shows headers, footers, free list and source lines', async () => {
    const page = await open('list', CALLS)
    await says(page, /free\(d\): \d+ stores/)
    expect(await cells(page, 'header')).toEqual(['32 + 1', '112', '16 + 1', '48', '16 + 1'])
    expect(await cells(page, 'footer')).toEqual(['32 + 1', '112', '16 + 1', '48', '16 + 1'])
    expect(await cells(page, 'next')).toEqual(['→ 4132'])
    expect(await page.locator('.strip .arc').count()).toBe(2)
    await page.keyboard.press('ArrowLeft')
    await says(page, 'free(d), store')
    expect(await page.locator('#place').innerText()).toMatch(/^list\.ts:\d+$/)
    expect(await page.locator('.line.current code').innerText()).toBe(
      '    u32[(block + 8) / 4] = 0'
    )
    expect(await page.locator('#chain .call').allInnerTexts()).toEqual(['free', 'insert'])
    await page.close()
  })

  it('calls nothing free without describe(), and marks former payloads', async () => {
    const page = await open('mute', CALLS)
    await says(page, /free\(d\): \d+ stores/)
    expect(await page.locator('#heap').innerText()).not.toMatch(/\bfree\b(?!\()/)
    expect(await page.locator('.word.free, .word.header, .word.footer, .part.free').count()).toBe(0)
    expect(await page.locator('.part.freed').count()).toBe(2)
    await page.close()
  })

  it.each([
    ['liar', CALLS, 'describe(): freeList[0] is'],
    ['endless', 'm24.m24.f0.m100', 'The call was stopped: it read and wrote'],
    ['nothing', '', 'create(memory) must return an object'],
    ['list', 'm24.fp5', 'free(5) threw: free(5): no used block begins there'],
    ['list', 'm24.c4x8', 'This allocator has no calloc'],
    ['list', 'm70000', 'a = malloc(70000) returned NULL']
  ])('%s with %j shows "%s"', async (name, calls, text) => {
    const page = await open(name, calls)
    await says(page, text)
    await page.close()
  })

  it('runs the calls again on a new heap when one is made at an earlier moment', async () => {
    const page = await open('list', CALLS)
    await page.keyboard.press('Home')
    await page.locator('#command').fill('malloc 8')
    await page.locator('#command').press('Enter')
    await says(page, 'a = malloc(8) returned 4104')
    expect(await page.locator('#calls li').count()).toBe(1)
    await page.close()
  })
})

describe('the file of offheap play', () => {
  it('has at most 600 KiB and loads nothing else', () => {
    const page = playPage({ placement: 'first-fit', slabs: false, size: 4096, calls: '' })
    expect(Buffer.byteLength(page)).toBeLessThan(600 * 1024)
    expect(page).not.toMatch(/<(?:link|img|script)[^>]+(?:src|href)="(?!data:)/)
  })
})
