/**
 * Shows the heap word by word, in rows with byte offsets: the role and the value of each word.
 * Long ranges of one kind are shortened to their first and last row. Rows that the current call
 * writes are always shown.
 */

import { nameOf } from '../calls.js'
import type { HeapPicture, Part, Role } from '../picture.js'
import { colorOf, make, say } from './elements.js'

/** Roles of which the middle rows of a long range are hidden. */
const LONG: ReadonlySet<Role> = new Set<Role>([
  'payload',
  'free',
  'wilderness',
  'slack',
  'slot',
  'granule',
  'unknown',
  'freed'
])
/** Roles that are shown only on request, or when a call writes there. */
const ASIDE: ReadonlySet<Role> = new Set<Role>(['meta', 'index', 'table'])
/** Ranges of up to this many rows are shown whole. */
const SHORT = 4

/** What the grid highlights. */
export interface GridFocus {
  /** The words of the last step. */
  readonly now: ReadonlySet<number>
  /** The words of the whole call. */
  readonly call: ReadonlySet<number>
  readonly showsAside: boolean
  readonly selected: number
}

type Line =
  | { readonly kind: 'row'; readonly word: number }
  | { readonly kind: 'gap'; readonly word: number; readonly text: string }

interface Cell {
  readonly element: HTMLElement
  readonly caption: HTMLElement
  readonly text: HTMLElement
  readonly flags: HTMLElement
}

export class Grid {
  readonly element: HTMLElement
  /** The visible cells, by word. */
  readonly cells = new Map<number, Cell>()
  readonly #onPick: (at: number) => void
  readonly #rows = new Map<string, HTMLElement>()
  #columns = 8
  #keys = ''

  constructor(element: HTMLElement, onPick: (at: number) => void) {
    this.element = element
    this.#onPick = onPick
    element.addEventListener('click', event => {
      const cell = event.target instanceof Element ? event.target.closest('[data-word]') : null
      if (cell instanceof HTMLElement) this.#onPick(Number(cell.dataset.word) * 4)
    })
  }

  /** Sets the number of words in a row. */
  set columns(count: number) {
    if (count === this.#columns) return
    this.#columns = count
    this.#rows.clear()
    this.cells.clear()
    this.element.replaceChildren()
    this.#keys = ''
    this.element.style.setProperty('--columns', String(count))
  }

  draw(picture: HeapPicture, focus: GridFocus): void {
    const lines = this.#lines(picture, focus)
    const keys = lines.map(
      line => `${line.kind}${line.word}${line.kind === 'gap' ? line.text : ''}`
    )
    const joined = keys.join()
    if (joined !== this.#keys) {
      this.#keys = joined
      const shown = new Set(keys)
      for (const [key, row] of this.#rows) {
        if (shown.has(key)) continue
        this.#rows.delete(key)
        for (const cell of row.querySelectorAll('[data-word]')) {
          if (cell instanceof HTMLElement) this.cells.delete(Number(cell.dataset.word))
        }
      }
      this.element.replaceChildren(...lines.map((line, i) => this.#row(line, keys[i])))
    }
    const parts = partsByWord(picture)
    for (const [word, cell] of this.cells) this.#show(cell, word, picture, parts(word), focus)
  }

  /** Scrolls a word into view, as little as possible. */
  reveal(word: number): void {
    this.cells.get(word)?.element.scrollIntoView({ block: 'nearest' })
  }

  #lines(picture: HeapPicture, { now, call, showsAside }: GridFocus): Line[] {
    const columns = this.#columns
    const parts = partsByWord(picture)
    const lines: Line[] = []
    const end = picture.parts.length === 0 ? -1 : picture.end / 4 - 1
    const touched = new Set([...now, ...call].map(word => Math.floor(word / columns)))
    let hidden: { from: number; rows: number; name: string; role: Role } | undefined
    const flush = () => {
      if (hidden === undefined) return
      const { from, rows, name } = hidden
      hidden = undefined
      lines.push({
        kind: 'gap',
        word: from * columns,
        text: `${name} · ${rows * columns * 4} bytes`
      })
    }
    let run: { part: Part | undefined; from: number; rows: number } | undefined
    const endRun = () => {
      if (run === undefined) return
      const { from, rows, part } = run
      run = undefined
      if (rows <= SHORT)
        for (let i = 0; i < rows; i++) lines.push({ kind: 'row', word: (from + i) * columns })
      else {
        lines.push({ kind: 'row', word: from * columns })
        const name =
          part === undefined ? '' : part.variable >= 0 ? nameOf(part.variable) : part.name
        lines.push({
          kind: 'gap',
          word: (from + 1) * columns,
          text: `${name} · ${(rows - 2) * columns * 4} bytes more`
        })
        lines.push({ kind: 'row', word: (from + rows - 1) * columns })
      }
    }
    for (let row = Math.floor(firstWord(picture) / columns); row * columns <= end; row++) {
      const first = row * columns
      const last = Math.min(end, first + columns - 1)
      const part = parts(first)
      const isOne = part !== undefined && part === parts(last)
      const role = picture.roleOf(first)
      const isTouched = touched.has(row)
      // Rows in which blocks begin are always shown.
      const isAside = ASIDE.has(role) && ASIDE.has(picture.roleOf(last))
      if (isAside && !isTouched && !showsAside) {
        endRun()
        if (hidden !== undefined && hidden.name !== (part?.name ?? '')) flush()
        hidden ??= { from: row, rows: 0, name: part?.name ?? '', role }
        hidden.rows++
        continue
      }
      flush()
      if (isOne && !isTouched && LONG.has(role) && isUniform(picture, first, last, role)) {
        if (run !== undefined && run.part !== part) endRun()
        run ??= { part, from: row, rows: 0 }
        run.rows++
        continue
      }
      endRun()
      lines.push({ kind: 'row', word: first })
    }
    endRun()
    flush()
    return lines
  }

  #row(line: Line, key: string): HTMLElement {
    const known = this.#rows.get(key)
    if (known !== undefined) return known
    const row = make('div', line.kind)
    if (line.kind === 'gap') row.append(make('span', '', line.text))
    else {
      row.append(make('span', 'at', String(line.word * 4)))
      for (let word = line.word; word < line.word + this.#columns; word++)
        row.append(this.#cell(word))
    }
    this.#rows.set(key, row)
    return row
  }

  #cell(word: number): HTMLElement {
    const element = make('div', 'word')
    element.dataset.word = String(word)
    const caption = make('small')
    const text = make('b')
    const flags = make('i')
    element.append(caption, text, flags)
    this.cells.set(word, { element, caption, text, flags })
    return element
  }

  #show(
    cell: Cell,
    word: number,
    picture: HeapPicture,
    part: Part | undefined,
    focus: GridFocus
  ): void {
    const { element, caption, text, flags } = cell
    if (part === undefined) {
      element.className = 'word outside'
      say(caption, '')
      say(text, '')
      say(flags, '')
      return
    }
    const meaning = picture.meaningOf(word)
    const classes = ['word', meaning.role, `in-${part.kind}`]
    if (word * 4 <= part.from) classes.push('first')
    if (word * 4 + 4 >= part.to) classes.push('last')
    if (focus.now.has(word)) classes.push('now')
    else if (focus.call.has(word)) classes.push('call')
    if (part.variable >= 0 && part.variable === focus.selected) classes.push('selected')
    const className = classes.join(' ')
    if (element.className !== className) element.className = className
    const color = part.variable >= 0 ? colorOf(part.variable) : ''
    if (element.style.getPropertyValue('--block') !== color)
      element.style.setProperty('--block', color)
    const isName =
      part.variable >= 0 && meaning.role === 'payload' && isFirstPayload(picture, part, word)
    say(caption, isName ? nameOf(part.variable) : meaning.caption)
    caption.classList.toggle('name', isName)
    say(text, meaning.text)
    say(
      flags,
      meaning.flags === undefined
        ? ''
        : `${meaning.flags.previousUsed ? 'P' : '–'} ${meaning.flags.used ? 'U' : '–'}`
    )
  }
}

/** Returns the first word of the heap. */
function firstWord({ parts }: HeapPicture): number {
  return (parts[0]?.from ?? 0) / 4
}

function isFirstPayload(picture: HeapPicture, part: Part, word: number): boolean {
  return word * 4 - 4 < part.from || picture.roleOf(word - 1) !== 'payload'
}

function isUniform(picture: HeapPicture, first: number, last: number, role: Role): boolean {
  for (let word = first; word <= last; word++) if (picture.roleOf(word) !== role) return false
  return true
}

/** Returns a function that finds the part of a word; fastest for words in ascending order. */
function partsByWord({ parts }: HeapPicture): (word: number) => Part | undefined {
  let at = 0
  return word => {
    const byte = word * 4
    while (at > 0 && parts[at - 1].to > byte) at--
    while (at < parts.length && parts[at].to <= byte) at++
    const part = parts[at]
    return part !== undefined && byte + 4 > part.from ? part : undefined
  }
}
