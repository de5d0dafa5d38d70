/** Two lists of buttons: the calls of the program, and the stores of the current call. */

import { lineOfCall } from '../calls.js'
import type { Moment, Run, Session } from '../session.js'
import { describeSteps } from '../words.js'
import { find, make, say } from './elements.js'

export class ProgramPane {
  readonly #calls = find('#calls', HTMLOListElement)
  readonly #stores = find('#stores', HTMLOListElement)
  readonly #title = find('#stores-of', HTMLElement)
  readonly #go: (moment: Moment) => void
  /** Caches the descriptions of the steps of each call. */
  readonly #texts = new WeakMap<Run, readonly string[]>()
  #shown: Run | undefined

  constructor(go: (moment: Moment) => void) {
    this.#go = go
  }

  draw(session: Session): void {
    this.#drawCalls(session)
    const { call, step } = session.now
    const index = step > 0 ? call : call - 1
    const run = session.runs[index]
    const texts = run === undefined ? [] : this.textsOf(session, index)
    if (run !== this.#shown) {
      this.#shown = run
      this.#stores.replaceChildren(
        ...texts.map((text, i) =>
          entry(`${i + 1}`, text, () => this.#go({ call: index, step: i + 1 }))
        )
      )
    }
    say(
      this.#title,
      run === undefined ? 'Stores' : `Stores of ${lineOfCall(run.call, run.variable)}`
    )
    const done = step > 0 ? step : texts.length
    mark(this.#stores, i => (i === done - 1 ? 'current' : i >= done ? 'later' : ''))
  }

  /** Scrolls both lists to the current entry. Reads the layout: see `draw` in main.ts. */
  settle(): void {
    scrollToCurrent(this.#calls)
    scrollToCurrent(this.#stores)
  }

  /** Returns the descriptions of the steps of a call. */
  textsOf(session: Session, index: number): readonly string[] {
    const run = session.runs[index]
    const known = this.#texts.get(run)
    if (known !== undefined) return known
    const texts = describeSteps(session, index)
    this.#texts.set(run, texts)
    return texts
  }

  #drawCalls(session: Session): void {
    const { runs, now } = session
    const list = this.#calls
    while (list.childElementCount > runs.length) list.lastElementChild?.remove()
    for (const [i, { call, variable, returned, error }] of runs.entries()) {
      const line = lineOfCall(call, variable)
      const result =
        error !== undefined
          ? 'threw'
          : returned === undefined
            ? ''
            : returned === 0
              ? 'NULL'
              : `${returned}`
      const item = list.children[i]
      if (item === undefined)
        list.append(entry(line, result, () => this.#go({ call: i + 1, step: 0 })))
      else {
        const [left, right] = item.querySelectorAll('span')
        say(left, line)
        say(right, result)
      }
      const isFailed = error !== undefined || (returned === 0 && call.kind !== 'realloc')
      list.children[i].className = isFailed ? 'failed' : ''
    }
    mark(list, i =>
      i === (now.step > 0 ? now.call : now.call - 1) ? 'current' : i >= now.call ? 'later' : ''
    )
  }
}

function entry(left: string, right: string, onClick: () => void): HTMLElement {
  const item = make('li')
  const button = make('button')
  button.setAttribute('type', 'button')
  button.append(make('span', 'number', left), make('span', 'what', right))
  button.addEventListener('click', onClick)
  item.append(button)
  return item
}

/** Sets the class of each entry of a list. */
function mark(list: HTMLElement, kindOf: (index: number) => string): void {
  for (const [i, item] of [...list.children].entries()) {
    const button = item.firstElementChild
    if (button === null) continue
    const kind = kindOf(i)
    if (button.className === kind) continue
    button.className = kind
    if (kind === 'current') button.setAttribute('aria-current', 'step')
    else button.removeAttribute('aria-current')
  }
}

/** Scrolls a list to its current entry without scrolling the page. */
function scrollToCurrent(list: HTMLElement): void {
  const current = list.querySelector('.current')
  if (!(current instanceof HTMLElement)) return
  const top = current.offsetTop
  if (top < list.scrollTop || top + current.offsetHeight > list.scrollTop + list.clientHeight) {
    list.scrollTop = top - list.clientHeight / 2
  }
}
