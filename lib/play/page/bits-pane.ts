/** Shows the last stored word bit by bit, before and after the store. */

import type { HeapPicture } from '../picture.js'
import type { WordChange } from '../recorder.js'
import { find, make, say } from './elements.js'

export class BitsPane {
  readonly #title = find('#bits h2', HTMLElement)
  readonly #body = find('#bits .body', HTMLElement)

  /** Shows the change of a word, or that there is none. */
  show(picture: HeapPicture, change: WordChange | undefined): void {
    if (change === undefined) {
      say(this.#title, 'No word was stored')
      this.#body.replaceChildren()
      return
    }
    const { word, before, after } = change
    const { caption } = picture.meaningOf(word)
    say(
      this.#title,
      `The word at byte ${word * 4}${caption === '' ? '' : `, ${caption}`}, before and after`
    )
    const changed = before ^ after
    this.#body.replaceChildren(line(picture, word, before, 0), line(picture, word, after, changed))
  }
}

/** Creates a row with the bits of a value, field by field, and the meaning of each field. */
function line(picture: HeapPicture, word: number, value: number, changed: number): HTMLElement {
  const row = make('div', 'value')
  let at = 32
  for (const { name, bits, text } of picture.bitsOf(word, value)) {
    const field = make('span', 'field')
    let group = make('span', 'group')
    for (let i = 0; i < bits; i++) {
      at--
      const isChanged = ((changed >>> at) & 1) === 1
      group.append(make('span', isChanged ? 'bit changed' : 'bit', String((value >>> at) & 1)))
      if (at % 8 !== 0 && i < bits - 1) continue
      field.append(group)
      group = make('span', 'group')
    }
    field.append(make('small', '', bits === 1 ? name : `${name}: ${text}`))
    row.append(field)
  }
  return row
}
