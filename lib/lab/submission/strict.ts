/**
 * Watches every access of a student's allocator, and stops it at the first wrong one, at its
 * source line: an access outside the heap, an invalid index, a write into a payload in use, an
 * endless walk.
 */

import { REALLOC } from '../../trace/trace.js'
import type { Evidence, Read } from './cause.js'
import { ACCESSES } from './channel.js'
import {
  type CodePlace,
  type Fault,
  FaultFound,
  type FaultKind,
  type FaultParts,
  faultOf
} from './fault.js'
import { HINTS, writeHint } from './hints.js'
import type { History } from './history.js'
import type { LabMemory } from './memory.js'
import type { Places } from './places.js'
import type { Watcher } from './spy.js'
import type { Verifier } from './verify.js'

/**
 * The most accesses of one operation, besides four for each byte of the heap. With more, it counts
 * as endless.
 */
const MOST_ACCESSES = 1_000_000
/** The number of addresses of an endless walk that are recorded, and reported. */
const RECENT = 64
const RECENT_TOLD = 6
/** The bytes of the heap that are recorded at first. */
const FIRST_BYTES = 65_536
/** The number of words read by an operation that are recorded. */
const READS = 32
/**
 * The bytes of other payloads that a realloc may read, because it may take them for a neighbour's
 * tag.
 */
const PEEK_BYTES = 16

export class StrictWatcher implements Watcher {
  /** The first fault. Kept here, because the student's code may catch the exception. */
  fault: Fault | undefined
  #verifier: Verifier | undefined
  readonly #lab: LabMemory
  readonly #places: Places
  readonly #progress: Int32Array
  #operation = -1
  #accesses = 0
  #foreignBytes = 0
  /** 1 for each byte that was last written by the program, up to the last one it ever wrote. */
  #programs = new Uint8Array(FIRST_BYTES)
  /**
   * Describes where the current operation first read another block's payload. Most such reads are
   * harmless, and V8 takes long to format a stack.
   */
  #trespass: (() => string) | undefined
  #trespassAt = -1
  readonly #recent: number[] = []
  /** The words last read by the current operation, with their values. */
  readonly #reads = new Map<number, number>()
  readonly #copies: { readonly from: number; readonly to: number; readonly index: number }[] = []
  /** The number of writes before the current operation. */
  #opening = 0
  /** The address and the value of the access that was stopped. */
  #bad = -1
  #badValue = Number.NaN
  readonly #history: History

  /**
   * @param progress counts accesses; see channel.ts
   * @param history records every word that is written
   */
  constructor(lab: LabMemory, places: Places, progress: Int32Array, history: History) {
    this.#history = history
    this.#lab = lab
    this.#places = places
    this.#progress = progress
  }

  /** From here on, the owner of every byte is known. */
  follow(verifier: Verifier): void {
    this.#verifier = verifier
    verifier.onFill = (from, to) => {
      if (to > this.#programs.length) {
        const programs = new Uint8Array(2 * to)
        programs.set(this.#programs)
        this.#programs = programs
      }
      this.#programs.fill(1, from, to)
      this.#history.fill(from, to, verifier.operation)
    }
  }

  read(from: number, to: number, bulk: boolean): void {
    this.#count(from)
    const verifier = this.#verifier
    const inRealloc = verifier !== undefined && verifier.trace.kinds[verifier.operation] === REALLOC
    if (inRealloc && bulk && to > this.#lab.high && from < this.#lab.high) {
      this.#raise(
        'realloc',
        `realloc read ${range(from, to)}, beyond memory.high (${this.#lab.high})`,
        from,
        to,
        {
          hint: HINTS.reallocOverread
        }
      )
    }
    this.#inHeap(from, to, 'read')
    if (bulk) this.#copies.push({ from, to, index: this.#history.length })
    else this.#remember(from - (from % 4))
    if (verifier === undefined) return
    const other = foreignOwner(verifier, from, to)
    if (this.#trespass === undefined && !bulk && this.#programs[from] === 1)
      this.#noteTrespass(verifier, from, to, other)
    if (other === -1 || !inRealloc) return
    this.#foreignBytes += bulk ? PEEK_BYTES + 1 : to - from
    if (this.#foreignBytes <= PEEK_BYTES) return
    this.#raise(
      'realloc',
      `realloc read ${range(from, to)}, which belong to ${verifier.ledger.nameOf(other)}, ` +
        'a block in use',
      from,
      to,
      {
        hint: HINTS.reallocOverread
      }
    )
  }

  write(from: number, to: number, value?: unknown): void {
    this.#count(from)
    this.#badValue = typeof value === 'number' ? value : Number.NaN
    this.#inHeap(from, to, 'wrote')
    this.#programs.fill(0, from, to)
    const verifier = this.#verifier
    const other = verifier === undefined ? -1 : foreignOwner(verifier, from, to)
    if (verifier === undefined || other === -1) {
      this.#history.write(from, to, value, verifier?.operation ?? -1, this.#stack)
      return
    }
    const name = verifier.ledger.nameOf(other)
    this.#raise(
      'payload',
      `the allocator wrote ${range(from, to)}, inside the payload of ${name}`,
      from,
      to,
      {
        hint: writeHint(this.#lab, value, this.#stack()[0]?.function ?? '')
      }
    )
  }

  noElement(view: string, index: string, writing: boolean): void {
    const verb = writing ? 'wrote to' : 'read'
    this.#raise(
      'access',
      `the allocator ${verb} ${view}[${index}], an element that does not exist`,
      0,
      0,
      {
        hint: this.#trespass === undefined ? HINTS.index : HINTS.badWord
      }
    )
  }

  buffer(view: string): void {
    this.#raise('access', `the allocator took ${view}.buffer`, 0, 0, { hint: HINTS.views })
  }

  #count(at: number): void {
    const operation = this.#verifier?.operation ?? -1
    if (operation !== this.#operation) {
      this.#operation = operation
      this.#accesses = 0
      this.#foreignBytes = 0
      this.#trespass = undefined
      this.#trespassAt = -1
      this.#recent.length = 0
      this.#reads.clear()
      this.#copies.length = 0
      this.#opening = this.#history.length
    }
    this.#accesses++
    this.#progress[ACCESSES]++
    const { low, high } = this.#lab
    const limit = MOST_ACCESSES + 4 * (high - low)
    if (this.#accesses < limit - RECENT) return
    this.#recent.push(at)
    if (this.#accesses < limit) return
    this.#raise(
      'endless',
      `this operation does not end: it has touched the memory ${this.#accesses} times`,
      at,
      at + 4,
      {
        details: [`The last bytes it touched: ${this.#recent.slice(-RECENT_TOLD).join(', ')}.`],
        hint: HINTS.endlessMemory
      }
    )
  }

  /** Returns what was recorded in the current operation. */
  evidence(verifier: Verifier, kind: string): Evidence {
    return {
      verifier,
      history: this.#history,
      opening: this.#opening,
      reads: this.reads,
      recent: this.#recent,
      copies: this.#copies,
      trespass: this.#trespassAt,
      bad: this.#bad,
      badValue: this.#badValue,
      kind
    }
  }

  /** The words read last, the newest first. */
  get reads(): readonly Read[] {
    return [...this.#reads].map(([at, value]) => ({ at, value })).reverse()
  }

  #remember(word: number): void {
    this.#reads.delete(word)
    this.#reads.set(word, this.#lab.views.i32[word / 4])
    if (this.#reads.size <= READS) return
    const [oldest] = this.#reads.keys()
    if (oldest !== undefined) this.#reads.delete(oldest)
  }

  #inHeap(from: number, to: number, verb: string): void {
    const { low, high } = this.#lab
    if (from >= low && to <= high) return
    const place =
      from < low
        ? from === 0 || to <= 64
          ? 'in the page that NULL points to'
          : `below memory.low (${low})`
        : `beyond memory.high (${high})`
    const hint =
      from >= low
        ? from > high + 64
          ? HINTS.farBeyond
          : HINTS.beyond
        : to <= 64
          ? HINTS.nullPage
          : HINTS.below
    this.#raise('access', `the allocator ${verb} ${range(from, to)}, ${place}`, from, to, { hint })
  }

  #raise(kind: FaultKind, what: string, from: number, to: number, more: FaultParts): never {
    const stack = this.#stack()
    const verifier = this.#verifier
    const { refused } = this.#lab
    if (to > from) this.#bad = from
    if (verifier === undefined) {
      this.fault ??= faultOf(kind, `${what}, in create()`, { stack, ...more })
    } else if (refused > 0) {
      const details = [`sbrk had refused ${refused} bytes before: it returned -1.`]
      this.fault ??= verifier.fault(kind, what, { stack, details, hint: HINTS.sbrkFailed })
    } else {
      const focus = { from, to: Math.min(to, from + 4096), label: range(from, to) }
      const { picture, details } =
        to > from ? verifier.surroundings(focus) : { picture: [], details: [] }
      const before = this.#trespass === undefined ? [] : [this.#trespass()]
      const all = [...before, ...details, ...(more.details ?? [])]
      this.fault ??= verifier.fault(kind, what, { picture, stack, ...more, details: all })
    }
    throw new FaultFound(this.fault)
  }

  /**
   * Adds to a fault found by the verifier what the current operation did before that may be the
   * reason.
   */
  explain(fault: Fault): Fault {
    return this.#trespass === undefined
      ? fault
      : { ...fault, details: [this.#trespass(), ...fault.details] }
  }

  #noteTrespass(verifier: Verifier, from: number, to: number, other: number): void {
    if (
      other === -1 &&
      verifier.own !== -1 &&
      verifier.ledger.ownerWithin(from, to) === verifier.own
    )
      return
    const error = new Error()
    const whose =
      other === -1
        ? 'the program was the last to write there, when a block had its payload there: no ' +
          'tag or link is at this place'
        : `they are payload of ${verifier.ledger.nameOf(other)}, which is in use`
    this.#trespassAt = from
    this.#trespass = () => {
      const [place] = this.#places.in(error.stack ?? '')
      const where =
        place === undefined ? '' : `, in ${place.function || 'the file'}, line ${place.line}`
      return `Before that it read ${range(from, to)} as if they were its own${where}; but ${whose}.`
    }
  }

  readonly #stack = (): CodePlace[] => {
    return this.#places.in(new Error().stack ?? '')
  }
}

function range(from: number, to: number): string {
  return to - from === 1 ? `byte ${from}` : `bytes ${from} to ${to - 1}`
}

/**
 * Returns the owner of a payload within these bytes, other than the operation's own block; -1 for
 * none.
 */
function foreignOwner(verifier: Verifier, from: number, to: number): number {
  const { ledger, own } = verifier
  const other = ledger.ownerWithin(from, to)
  // An empty block has no payload.
  if (other !== -1 && ledger.sizes[other] === 0) return -1
  if (other === -1 || other !== own) return other
  const end = ledger.pointers[own] + ledger.sizes[own]
  return to > end ? ledger.ownerWithin(end, to) : -1
}
