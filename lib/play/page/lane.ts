/** One heap of the page: its session, its strip and its line of figures. */

import type { Moment, Session } from '../session.js'
import { make, say } from './elements.js'
import { Strip } from './strip.js'

export class Lane {
  readonly session: Session
  readonly element: HTMLElement
  readonly #strip: Strip
  readonly #figures = make('span', 'figures')

  constructor(session: Session, onPick: (at: number) => void) {
    this.session = session
    const { label } = session.instrument
    this.#strip = new Strip(label, onPick)
    this.element = make('section', 'lane')
    const title = make('div', 'title')
    title.append(make('b', '', label), this.#figures)
    this.element.append(title, this.#strip.element)
  }

  /**
   * Moves to a moment of the main heap. Another heap, whose calls have other steps, moves to the
   * end of the call instead.
   */
  follow({ call, step }: Moment, isMain: boolean): void {
    this.session.go(isMain || step === 0 ? { call, step } : { call: call + 1, step: 0 })
  }

  draw(width: number, selected: number, now: ReadonlySet<number>): void {
    const picture = this.session.picture()
    const focus = new Set(
      picture.parts.filter(({ from, to }) =>
        [...now].some(word => word * 4 >= from && word * 4 < to)
      )
    )
    this.#strip.draw(picture, width, selected, focus)
    const failed = this.session.runs
      .slice(0, this.session.now.call)
      .filter(
        ({ call, returned }) => returned === 0 && !(call.kind === 'realloc' && call.size === 0)
      ).length
    const refused = failed === 0 ? '' : ` · ${failed} refused`
    say(this.#figures, picture.summary + refused)
  }
}
