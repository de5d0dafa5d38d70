/**
 * The part of the page for one allocator: its map, its heap at the current moment, its curves, and
 * the reactions to the pointer.
 */

import { humanBytes, humanShare } from '../../sizes.js'
import type { History } from '../history.js'
import { AddressMap } from './address-map.js'
import { CurvePlot } from './curve-plot.js'
import { describeFreeList, describeResult, describeSlabs, describeTarget } from './describe.js'
import { find } from './elements.js'
import { HeapRows, ROWS } from './heap-rows.js'
import { HeapStrip } from './heap-strip.js'
import { MARGIN, type Span, Subject, type Target, type View } from './view.js'

/** The methods of the page that a panel uses. */
export interface Page {
  readonly view: View
  /** Goes to a moment. */
  go(operations: number): void
  /** Shows other ranges of time and addresses, in all panels. */
  show(time: Span, addresses: Span): void
  /** Draws again. */
  refresh(): void
  /** Shows text beside the pointer, in lines; hides it without lines. */
  tip(lines: readonly string[], event: PointerEvent): void
}

/** The fewest and the most bytes that the rows show, powers of two. */
const CLOSEST = 16 * ROWS
const WIDEST = 8192 * ROWS
/** A press that moves this many pixels is a drag. */
const DRAG = 5

export class Panel {
  readonly subject: Subject
  readonly #page: Page
  readonly #element: HTMLElement
  readonly #map: AddressMap
  readonly #strip: HeapStrip
  readonly #rows: HeapRows
  readonly #curves: CurvePlot
  readonly #frame: HTMLElement

  /**
   * `element` is a copy of the page's template. `largest` is the size of the largest heap of all
   * panels.
   */
  constructor(element: HTMLElement, history: History, largest: number, page: Page) {
    this.subject = new Subject(history)
    this.#page = page
    this.#element = element
    const { label } = history.timeline
    find(element, 'h2', HTMLElement).textContent = label
    element.setAttribute('aria-label', label)
    const canvas = (name: string) => find(element, `canvas.${name}`, HTMLCanvasElement)
    const most = history.high - history.low
    const bytes = Math.min(2048, 2 ** Math.ceil(Math.log2(Math.max(CLOSEST, most))))
    this.#map = new AddressMap(canvas('map'), this.subject)
    this.#strip = new HeapStrip(canvas('strip'), this.subject, {
      from: history.low,
      to: history.low + largest
    })
    this.#rows = new HeapRows(canvas('rows'), this.subject, { start: history.low, bytes })
    this.#curves = new CurvePlot(canvas('curves'), this.subject, largest)
    this.#frame = find(element, '.frame', HTMLElement)
    this.#listenToMap()
    this.#listenToRows()
    this.#listenToCurves()
  }

  draw(): void {
    const { view } = this.#page
    const { subject } = this
    const { now } = subject
    subject.history.seek(now, view.now)
    if (this.#follows.checked) this.#followOperation()
    this.#map.draw(view)
    this.#strip.draw(view, this.#rows.window)
    this.#rows.draw(view)
    this.#curves.draw(view)
    const { curves } = subject.history
    this.#say('result', describeResult(subject, view.now))
    this.#say('list', describeFreeList(subject))
    this.#say('slabs', describeSlabs(subject))
    this.#say('payload', humanBytes(curves.payload[view.now]))
    this.#say('heap', humanBytes(curves.heap[view.now]))
    this.#say('utilization', humanShare(curves.utilization[view.now]))
    this.#say('fragmentation', humanShare(curves.externalFragmentation[view.now]))
    this.#say('blocks', now.count.toLocaleString('en-US'))
    const { target } = subject
    this.#say(
      'target',
      target === undefined ? '' : `${describeTarget(subject, target, view.now).join('; ')}.`
    )
  }

  /**
   * Selects the next (1) or previous (-1) block of the free list, or in address order, and shows
   * it.
   */
  select(order: 'list' | 'address', by: 1 | -1): void {
    const target = order === 'list' ? this.#nextInList(by) : this.#nextInAddresses(by)
    if (target === undefined) return
    this.#follows.checked = false
    this.subject.target = target
    this.#rows.reveal(this.subject.extent(target).offset)
  }

  unselect(): void {
    this.subject.target = undefined
  }

  toggleFollow(): void {
    this.#follows.checked = !this.#follows.checked
  }

  get #follows(): HTMLInputElement {
    return find(this.#element, 'input.follow', HTMLInputElement)
  }

  #nextInList(by: 1 | -1): Target | undefined {
    const { subject } = this
    const { now, target } = subject
    const { length } = now.freeOffsets
    if (length === 0) return undefined
    const place = target?.kind === 'free' ? target.place : by === 1 ? -1 : length
    return subject.free(now, (place + by + length) % length)
  }

  #nextInAddresses(by: 1 | -1): Target | undefined {
    const { now, target } = this.subject
    if (now.count === 0) return undefined
    const at =
      target === undefined ? this.#rows.window.start - 1 : this.subject.extent(target).offset
    const index =
      now.find(at) + (target !== undefined && target.kind !== 'used' && by === -1 ? 0 : by)
    return { kind: 'used', block: now.blocks[(index + now.count) % now.count] }
  }

  /** Keeps the block of the last operation visible in the rows. */
  #followOperation(): void {
    const { history, now } = this.subject
    if (now.operations === 0) return
    const i = now.operations - 1
    const block = history.timeline.pointers[i] === 0 ? history.ended[i] : i
    if (block !== -1) this.#rows.reveal(history.offset(block))
  }

  #say(name: string, text: string): void {
    const element = find(this.#element, `[data-say="${name}"]`, HTMLElement)
    if (element.textContent !== text) element.textContent = text
  }

  /** Outlines the target at moment `operations`, and describes it beside the pointer. */
  #point(target: Target | undefined, operations: number, event: PointerEvent): void {
    this.subject.target = target
    this.#page.tip(
      target === undefined ? [] : describeTarget(this.subject, target, operations),
      event
    )
    this.#page.refresh()
  }

  #listenToMap(): void {
    const { canvas } = this.#map.stage
    let pressed: { x: number; y: number } | undefined
    const spans = (event: MouseEvent, from: { x: number; y: number }) => {
      const [x, y] = this.#map.scales(this.#page.view)
      const time = [x.invert(from.x), x.invert(event.offsetX)].sort((a, b) => a - b)
      const { low } = this.subject.history
      const addresses = [y.invert(from.y) - low, y.invert(event.offsetY) - low].sort(
        (a, b) => a - b
      )
      return {
        time: { from: time[0], to: time[1] },
        addresses: { from: addresses[0], to: addresses[1] }
      }
    }
    canvas.addEventListener('pointerdown', event => {
      pressed = { x: event.offsetX, y: event.offsetY }
      canvas.setPointerCapture(event.pointerId)
    })
    canvas.addEventListener('pointermove', event => {
      if (pressed !== undefined && far(pressed, event)) {
        const { x, y } = pressed
        Object.assign(this.#frame.style, {
          display: 'block',
          left: `${canvas.offsetLeft + Math.min(x, event.offsetX)}px`,
          top: `${canvas.offsetTop + Math.min(y, event.offsetY)}px`,
          width: `${Math.abs(x - event.offsetX)}px`,
          height: `${Math.abs(y - event.offsetY)}px`
        })
        return
      }
      const { subject } = this
      const [x, y] = this.#map.scales(this.#page.view)
      const operations = Math.floor(x.invert(event.offsetX))
      const inside =
        event.offsetX >= MARGIN.left &&
        operations >= 0 &&
        operations <= subject.history.trace.length
      if (!inside) return this.#point(undefined, operations, event)
      const target = subject.at(subject.momentAt(operations), y.invert(event.offsetY))
      // The free list belongs to another moment, so only the rows describe free memory.
      this.#point(target?.kind === 'used' ? target : undefined, operations, event)
    })
    canvas.addEventListener('pointerup', event => {
      this.#frame.style.display = 'none'
      if (pressed === undefined) return
      const from = pressed
      pressed = undefined
      const { time, addresses } = spans(event, from)
      if (far(from, event)) this.#page.show(time, addresses)
      else {
        const { target } = this.subject
        if (target !== undefined) this.#rows.reveal(this.subject.extent(target).offset)
        this.#page.go(time.from)
      }
    })
    canvas.addEventListener('pointercancel', () => {
      pressed = undefined
      this.#frame.style.display = 'none'
    })
    canvas.addEventListener('pointerleave', event => this.#point(undefined, 0, event))
    canvas.addEventListener(
      'wheel',
      event => {
        if (!event.ctrlKey) return
        event.preventDefault()
        const { view } = this.#page
        const [x, y] = this.#map.scales(view)
        const address = y.invert(event.offsetY) - this.subject.history.low
        const factor = Math.exp(event.deltaY / 200)
        const around = (span: Span, at: number) => ({
          from: at + (span.from - at) * factor,
          to: at + (span.to - at) * factor
        })
        this.#page.show(around(view.time, x.invert(event.offsetX)), around(view.addresses, address))
      },
      { passive: false }
    )
  }

  #listenToRows(): void {
    const { canvas } = this.#rows.stage
    canvas.addEventListener('pointermove', event => {
      const address = this.#rows.addressAt(event.offsetX, event.offsetY)
      const { subject } = this
      this.#point(
        address === undefined ? undefined : subject.at(subject.now, address),
        subject.now.operations,
        event
      )
    })
    canvas.addEventListener('pointerleave', event => this.#point(undefined, 0, event))
    const strip = this.#strip.stage.canvas
    const move = (event: PointerEvent) => {
      if (event.buttons === 0) return
      this.#follows.checked = false
      this.#rows.move(this.#strip.x.invert(event.offsetX) - this.#rows.window.bytes / 2)
      this.#page.refresh()
    }
    strip.addEventListener('pointerdown', event => {
      strip.setPointerCapture(event.pointerId)
      move(event)
    })
    strip.addEventListener('pointermove', move)
    const press = (name: string, action: () => void) => {
      find(this.#element, `button.${name}`, HTMLButtonElement).addEventListener('click', () => {
        action()
        this.#page.refresh()
      })
    }
    const shift = (by: number) => () => {
      this.#follows.checked = false
      this.#rows.move(this.#rows.window.start + this.#rows.window.bytes * by)
    }
    press('lower', shift(-0.5))
    press('higher', shift(0.5))
    press('closer', () => this.#rows.resize(Math.max(CLOSEST, this.#rows.window.bytes / 2)))
    press('wider', () => this.#rows.resize(Math.min(WIDEST, this.#rows.window.bytes * 2)))
    this.#follows.addEventListener('change', () => this.#page.refresh())
  }

  #listenToCurves(): void {
    const { canvas } = this.#curves.stage
    const operationsAt = (event: PointerEvent) => {
      const { length } = this.subject.history.trace
      return Math.min(
        length,
        Math.max(0, Math.floor(this.#curves.scaleTime(this.#page.view).invert(event.offsetX)))
      )
    }
    const follow = (event: PointerEvent) => {
      const t = operationsAt(event)
      const { payload, heap, utilization, externalFragmentation } = this.subject.history.curves
      const lines = [
        `after ${t.toLocaleString('en-US')} operations`,
        `payload ${humanBytes(payload[t])}, heap ${humanBytes(heap[t])}`,
        `utilization ${humanShare(utilization[t])}`,
        `external fragmentation ${humanShare(externalFragmentation[t])}`
      ]
      this.#page.tip(lines, event)
      if (event.buttons !== 0) this.#page.go(t)
    }
    canvas.addEventListener('pointerdown', event => {
      canvas.setPointerCapture(event.pointerId)
      follow(event)
    })
    canvas.addEventListener('pointermove', follow)
    canvas.addEventListener('pointerleave', event => this.#page.tip([], event))
  }
}

function far(from: { x: number; y: number }, event: MouseEvent): boolean {
  return Math.abs(event.offsetX - from.x) > DRAG && Math.abs(event.offsetY - from.y) > DRAG
}
