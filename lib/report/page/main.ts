/** The page: reads its data, creates a panel for each allocator, and synchronizes them. */

import { humanBytes, humanCount } from '../../sizes.js'
import { History } from '../history.js'
import { SIZE_CLASSES, sizeClassName } from '../size-classes.js'
import { decodeView, type ViewData } from '../view-data.js'
import { describeMoment } from './describe.js'
import { find } from './elements.js'
import { type Page, Panel } from './panel.js'
import { currentTheme } from './theme.js'
import type { Span, View } from './view.js'

const input = (id: string) => find(document, `#${id}`, HTMLInputElement)
const button = (id: string) => find(document, `#${id}`, HTMLButtonElement)

class Player implements Page {
  readonly view: View
  readonly #panels: readonly Panel[]
  readonly #length: number
  readonly #peak: number
  readonly #addresses: Span
  #requested = false
  #playing = false
  /** The time of the last animation frame, and the remaining fraction of an operation. */
  #last = 0
  #rest = 0

  constructor(histories: readonly History[]) {
    const { trace, curves } = histories[0]
    this.#length = trace.length
    this.#peak = curves.payload.indexOf(
      curves.payload.reduce((most, value) => Math.max(most, value), 0)
    )
    const largest = Math.max(1, ...histories.map(history => history.high - history.low))
    this.#addresses = { from: 0, to: largest * 1.03 }
    this.view = {
      now: this.#peak,
      time: this.#wholeTime,
      addresses: this.#addresses,
      theme: currentTheme()
    }
    const container = find(document, '#panels', HTMLElement)
    const template = find(document, '#panel', HTMLTemplateElement)
    container.classList.toggle('several', histories.length > 1)
    this.#panels = histories.map(history => {
      container.append(template.content.cloneNode(true))
      const element = container.lastElementChild
      if (!(element instanceof HTMLElement)) throw new Error('the page has no panel')
      return new Panel(element, history, largest, this)
    })
  }

  get #wholeTime(): Span {
    return { from: 0, to: Math.max(1, this.#length) }
  }

  start(): void {
    this.#listenToControls()
    document.addEventListener('keydown', event => this.#press(event))
    const recolor = () => {
      this.view.theme = currentTheme()
      this.refresh()
    }
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', recolor)
    button('theme').addEventListener('click', () => {
      document.documentElement.dataset.theme = this.view.theme.name === 'dark' ? 'light' : 'dark'
      recolor()
    })
    new ResizeObserver(() => this.refresh()).observe(find(document, '#panels', HTMLElement))
    this.go(this.#peak)
  }

  go(operations: number): void {
    const rounded = Math.floor(operations)
    this.view.now = Math.min(this.#length, Math.max(0, Number.isFinite(rounded) ? rounded : 0))
    this.#keepInSight()
    this.refresh()
  }

  show(time: Span, addresses: Span): void {
    this.view.time = clip(time, this.#wholeTime, 4)
    this.view.addresses = clip(addresses, this.#addresses, 64)
    this.refresh()
  }

  refresh(): void {
    if (this.#requested) return
    this.#requested = true
    requestAnimationFrame(time => {
      this.#requested = false
      if (this.#playing) this.#advance(time)
      this.#draw()
    })
  }

  tip(lines: readonly string[], event: PointerEvent): void {
    const element = find(document, '#tip', HTMLElement)
    element.hidden = lines.length === 0
    if (lines.length === 0) return
    element.replaceChildren(
      ...lines.map((line, i) => {
        const row = document.createElement(i === 0 ? 'strong' : 'div')
        row.textContent = line
        return row
      })
    )
    const { width, height } = element.getBoundingClientRect()
    const left =
      event.clientX + 16 + width > innerWidth ? event.clientX - 16 - width : event.clientX + 16
    const top = Math.min(innerHeight - height - 8, event.clientY + 16)
    element.style.transform = `translate(${Math.max(8, left)}px, ${Math.max(8, top)}px)`
  }

  #draw(): void {
    const { now } = this.view
    const { trace } = this.#panels[0].subject.history
    const text = describeMoment(trace, now)
    const scrubber = input('scrubber')
    scrubber.value = String(now)
    scrubber.setAttribute('aria-valuetext', text)
    const number = input('operation')
    if (document.activeElement !== number) number.value = String(now)
    find(document, '#moment', HTMLElement).textContent = text
    for (const panel of this.#panels) panel.draw()
  }

  /** Moves the window of time if the current moment leaves it. */
  #keepInSight(): void {
    const { now, time } = this.view
    if (now >= time.from && now <= time.to) return
    const half = (time.to - time.from) / 2
    this.view.time = clip({ from: now - half, to: now + half }, this.#wholeTime, 4)
  }

  #zoom(factor: number): void {
    const { now, time, addresses } = this.view
    this.show(
      { from: now + (time.from - now) * factor, to: now + (time.to - now) * factor },
      addresses
    )
  }

  #play(playing: boolean): void {
    this.#playing = playing
    this.#last = performance.now()
    this.#rest = 0
    const control = button('play')
    control.textContent = playing ? '❚❚' : '▶'
    control.setAttribute('aria-label', playing ? 'Pause' : 'Play')
    // A screen reader can't announce 60 sentences a second.
    find(document, '#moment', HTMLElement).ariaLive = playing ? 'off' : 'polite'
    if (playing && this.view.now === this.#length) this.view.now = 0
    this.refresh()
  }

  #advance(time: number): void {
    const speed = find(document, '#speed', HTMLSelectElement).value
    const perSecond = speed === 'all' ? this.#length / 30 : Number(speed)
    const operations = (Math.max(0, time - this.#last) / 1000) * perSecond + this.#rest
    this.#last = time
    this.#rest = operations % 1
    this.go(this.view.now + Math.floor(operations))
    if (this.view.now === this.#length) this.#play(false)
    else this.refresh()
  }

  #listenToControls(): void {
    const scrubber = input('scrubber')
    scrubber.max = String(this.#length)
    scrubber.addEventListener('input', () => this.go(Number(scrubber.value)))
    const number = input('operation')
    number.max = String(this.#length)
    number.addEventListener('change', () => this.go(Number(number.value)))
    const actions: [string, () => void][] = [
      ['first', () => this.go(0)],
      ['back', () => this.go(this.view.now - 1)],
      ['play', () => this.#play(!this.#playing)],
      ['step', () => this.go(this.view.now + 1)],
      ['last', () => this.go(this.#length)],
      ['peak', () => this.go(this.#peak)],
      ['zoom-in', () => this.#zoom(0.5)],
      ['zoom-out', () => this.#zoom(2)],
      ['whole', () => this.show(this.#wholeTime, this.#addresses)]
    ]
    for (const [id, action] of actions) button(id).addEventListener('click', action)
  }

  #press(event: KeyboardEvent): void {
    const { target } = event
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (target instanceof HTMLInputElement && target.type === 'number') return
    if (target instanceof HTMLSelectElement) return
    // The space bar presses the button that has the focus.
    if (
      event.key === ' ' &&
      (target instanceof HTMLButtonElement || target instanceof HTMLInputElement)
    )
      return
    const action = this.#actionOf(event)
    if (action === undefined) return
    event.preventDefault()
    action()
    this.refresh()
  }

  #actionOf({ key, shiftKey }: KeyboardEvent): (() => void) | undefined {
    const { now } = this.view
    const panels = this.#panels
    switch (key) {
      case 'ArrowRight':
        return () => this.go(now + (shiftKey ? 100 : 1))
      case 'ArrowLeft':
        return () => this.go(now - (shiftKey ? 100 : 1))
      case 'PageDown':
        return () => this.go(now + 1000)
      case 'PageUp':
        return () => this.go(now - 1000)
      case 'Home':
        return () => this.go(0)
      case 'End':
        return () => this.go(this.#length)
      case ' ':
        return () => this.#play(!this.#playing)
      case 'p':
        return () => this.go(this.#peak)
      case '+':
        return () => this.#zoom(0.5)
      case '-':
        return () => this.#zoom(2)
      case '0':
        return () => this.show(this.#wholeTime, this.#addresses)
      case 'n':
        return () => panels.forEach(panel => void panel.select('list', 1))
      case 'N':
        return () => panels.forEach(panel => void panel.select('list', -1))
      case 'b':
        return () => panels.forEach(panel => void panel.select('address', 1))
      case 'B':
        return () => panels.forEach(panel => void panel.select('address', -1))
      case 'f':
        return () => panels.forEach(panel => void panel.toggleFollow())
      case 't':
        return () => button('theme').click()
      case 'Escape':
        return () => panels.forEach(panel => void panel.unselect())
      default:
        return undefined
    }
  }
}

/** A span inside `whole`, not shorter than `least`. */
function clip(span: Span, whole: Span, least: number): Span {
  const length = Math.min(whole.to - whole.from, Math.max(least, span.to - span.from))
  const middle = (span.from + span.to) / 2
  const from = Math.min(whole.to - length, Math.max(whole.from, middle - length / 2))
  return { from, to: from + length }
}

/** The legend of the colours. */
function fillLegend(): void {
  const legend = find(document, '#sizes', HTMLElement)
  for (const index of SIZE_CLASSES.keys()) {
    const item = document.createElement('span')
    item.className = 'key'
    const swatch = document.createElement('i')
    swatch.style.background = `var(--size-${index})`
    item.append(swatch, sizeClassName(index))
    legend.append(item)
  }
}

function isViewData(value: unknown): value is ViewData {
  return typeof value === 'object' && value !== null && 'columns' in value && 'allocators' in value
}

async function main(): Promise<void> {
  const data: unknown = JSON.parse(find(document, '#data', HTMLScriptElement).textContent ?? '')
  if (!isViewData(data)) throw new Error('the page has no data')
  const { trace, timelines } = await decodeView(data)
  const histories = timelines.map(timeline => new History(trace, timeline))
  const { payload } = histories[0].curves
  const peak = payload.reduce((most, value) => Math.max(most, value), 0)
  find(document, '#about', HTMLElement).textContent =
    `${humanCount(trace.length)} operations on ${humanCount(trace.ids)} ids, at most ` +
    `${humanBytes(peak)} of payload`
  fillLegend()
  new Player(histories).start()
  document.documentElement.dataset.ready = 'true'
}

main().catch((error: unknown) => {
  find(document, '#moment', HTMLElement).textContent =
    `This page can't be shown: ${error instanceof Error ? error.message : String(error)}`
  throw error
})
