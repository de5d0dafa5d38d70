/** Shows the source next to the heap: the line of the last store, and the calls that led to it. */

import type { Frame, Sources } from '../sources.js'
import { find, make, say } from './elements.js'

/** The most calls shown in the chain. */
const CHAIN = 8

export class CodePane {
  readonly #sources: Sources
  readonly #chain = find('#chain', HTMLElement)
  readonly #place = find('#place', HTMLElement)
  readonly #lines = find('#lines', HTMLElement)
  #frames: readonly Frame[] = []
  #stack = ''
  readonly #files = new Map<string, readonly HTMLElement[]>()
  #file = ''
  #rows: readonly HTMLElement[] = []
  #current: HTMLElement | undefined

  constructor(sources: Sources) {
    this.#sources = sources
  }

  /** Shows where a stack was taken, or `note` if there is no known source. */
  show(stack: string, note: string): void {
    if (stack !== this.#stack || stack === '') {
      this.#stack = stack
      // Hide the frames of the page itself.
      this.#frames = this.#sources
        .resolve(stack)
        .filter(({ file }) => !file.startsWith('lib/play/'))
    }
    const [frame] = this.#frames
    this.#chain.replaceChildren(...this.#chainOf(frame))
    if (frame === undefined) {
      say(this.#place, note)
      this.#lines.replaceChildren()
      this.#file = ''
      this.#current = undefined
    } else this.#open(frame)
  }

  #chainOf(current: Frame | undefined): Element[] {
    return this.#frames
      .slice(0, CHAIN)
      .toReversed()
      .map(frame => {
        const button = make(
          'button',
          frame === current ? 'call current' : 'call',
          frame.name || 'module'
        )
        button.setAttribute('type', 'button')
        button.title = `${frame.file}, line ${frame.line}`
        button.addEventListener('click', () => {
          this.#chain.replaceChildren(...this.#chainOf(frame))
          this.#open(frame)
          this.settle()
        })
        return button
      })
  }

  #open({ file, line }: Frame): void {
    say(this.#place, `${file}:${line}`)
    if (file !== this.#file) {
      this.#file = file
      this.#rows = this.#rowsOf(file)
      this.#lines.replaceChildren(...this.#rows)
    }
    this.#current?.classList.remove('current')
    this.#current = this.#rows[line - 1]
    this.#current?.classList.add('current')
  }

  /** Returns the lines of a source. Creates them only once. */
  #rowsOf(file: string): readonly HTMLElement[] {
    const known = this.#files.get(file)
    if (known !== undefined) return known
    const rows = this.#sources.textOf(file).map((code, i) => {
      const row = make('div', 'line')
      row.append(make('span', 'number', String(i + 1)), highlighted(code))
      return row
    })
    this.#files.set(file, rows)
    return rows
  }

  /**
   * Scrolls to the line, and to the end of the chain, without scrolling the page. Reads the
   * layout: see `draw` in main.ts.
   */
  settle(): void {
    const current = this.#current
    if (current === undefined) return
    const top = current.offsetTop - (this.#lines.clientHeight - current.clientHeight) / 2
    const right = this.#chain.scrollWidth
    this.#lines.scrollTop = top
    this.#chain.scrollLeft = right
  }
}

const KEYWORDS =
  'const|let|if|else|return|for|while|function|class|this|new|throw|try|catch|finally|export|' +
  'import|private|readonly|of|true|false'
const COMMENT = /(?<comment>\/\/.*$|\/\*.*?\*\/|^\s*\/?\*.*$)/.source
const STRING = /(?<string>'[^']*'|`[^`]*`)/.source
const TOKENS = new RegExp(`${COMMENT}|${STRING}|(?<keyword>\\b(?:${KEYWORDS})\\b)`, 'g')

/** Marks the comments, strings and keywords of a line of TypeScript. */
function highlighted(code: string): HTMLElement {
  const line = make('code')
  let at = 0
  for (const match of code.matchAll(TOKENS)) {
    line.append(code.slice(at, match.index))
    const kind =
      Object.entries(match.groups ?? {}).find(([, text]) => text !== undefined)?.[0] ?? ''
    line.append(make('span', kind, match[0]))
    at = match.index + match[0].length
  }
  line.append(code.slice(at))
  return line
}
