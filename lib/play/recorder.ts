/**
 * Memory that records every store. An allocator gets views that behave like typed arrays. Each
 * store is a step: the words that changed, and the stack of the code that stored them. A call can
 * then be stepped through store by store, forward and back, without running it again.
 *
 * Stores to elements are recorded when they happen. After a method that writes many elements
 * (`fill`, `copyWithin`, …) and at the end of each call, the whole memory is compared with its last
 * known contents. So the steps always add up to the actual bytes.
 */

/** One word, before and after. */
export interface WordChange {
  readonly word: number
  readonly before: number
  readonly after: number
}

/**
 * - `store`: an element was stored.
 * - `bulk`: a method stored several elements.
 * - `unseen`: found at the end of the call, stored through a view that does not record.
 * - `payload`: the program filled its block.
 * - `sbrk`: the end of the heap moved.
 */
export type StepKind = 'store' | 'bulk' | 'unseen' | 'payload' | 'sbrk'

export interface Step {
  readonly kind: StepKind
  /** The words that were written. A `store` is listed even if the value stayed the same. */
  readonly changes: readonly WordChange[]
  /** The stack at the store, as the browser formats it; empty if there is no code to show. */
  readonly stack: string
  /** The ends of the heap before and after an `sbrk`. */
  readonly high?: { readonly before: number; readonly after: number }
}

/** The views of the memory that a lab's allocator gets. */
export interface Views {
  readonly u8: Uint8Array
  readonly i8: Int8Array
  readonly u16: Uint16Array
  readonly i16: Int16Array
  readonly u32: Uint32Array
  readonly i32: Int32Array
  readonly f32: Float32Array
  readonly f64: Float64Array
  readonly i64: BigInt64Array
  readonly u64: BigUint64Array
  readonly dataView: DataView
}

/** The methods of typed arrays that store elements. */
const WRITERS = new Set(['fill', 'set', 'copyWithin', 'sort', 'reverse'])

type Elements = Exclude<Views[keyof Views], DataView>

export class Recorder {
  /** The memory itself. Stores to this view are not steps. */
  readonly words: Int32Array
  /** The contents of the memory according to the steps so far. */
  readonly #known: Int32Array
  readonly #mostAccesses: number
  readonly #end: () => number
  /** Keeps one copy of each stack: the same calls lead to the same store again and again. */
  readonly #stacks = new Map<string, string>()
  #accesses = 0
  #steps: Step[] = []

  /**
   * @param mostAccesses the most elements that a call may read and write; more throw an error
   * @param end returns the byte offset from which on memory is written by element stores only
   */
  constructor(buffer: ArrayBuffer, mostAccesses: number, end = () => buffer.byteLength) {
    this.words = new Int32Array(buffer)
    this.#known = this.words.slice()
    this.#mostAccesses = mostAccesses
    this.#end = end
  }

  /** Begins a call: discards the steps so far. */
  begin(): void {
    this.#steps = []
    this.#accesses = 0
  }

  /** Ends the call, and returns its steps. */
  end(): readonly Step[] {
    this.#compare('unseen', '')
    return this.#steps
  }

  /** Writes into a block, on behalf of the program. */
  fillPayload(from: number, to: number, byte: number): void {
    new Uint8Array(this.words.buffer).fill(byte, from, to)
    this.#compare('payload', '')
  }

  noteBreak(before: number, after: number): void {
    this.#steps.push({
      kind: 'sbrk',
      changes: [],
      stack: this.#stackHere(),
      high: { before, after }
    })
  }

  /** Creates views of the memory that record. */
  views(): Views {
    const { buffer } = this.words
    return {
      u8: this.watch(new Uint8Array(buffer)),
      i8: this.watch(new Int8Array(buffer)),
      u16: this.watch(new Uint16Array(buffer)),
      i16: this.watch(new Int16Array(buffer)),
      u32: this.watch(new Uint32Array(buffer)),
      i32: this.watch(new Int32Array(buffer)),
      f32: this.watch(new Float32Array(buffer)),
      f64: this.watch(new Float64Array(buffer)),
      i64: this.watch(new BigInt64Array(buffer)),
      u64: this.watch(new BigUint64Array(buffer)),
      dataView: this.#watchDataView(new DataView(buffer))
    }
  }

  /** Wraps a view of the memory so that it records stores. */
  watch<View extends Elements>(view: View): View {
    const bytes = view.BYTES_PER_ELEMENT
    const watched: View = new Proxy(view, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key, target)
        if (typeof value !== 'function') {
          this.#count()
          return value
        }
        return (...args: readonly unknown[]) => {
          this.#count()
          const result: unknown = Reflect.apply(value, target, args)
          if (WRITERS.has(String(key))) this.#compare('bulk', this.#stackHere())
          return result === target ? watched : result
        }
      },
      set: (target, key, value) => {
        this.#count()
        const stored = Reflect.set(target, key, value, target)
        const index = Number(key)
        if (Number.isInteger(index) && index >= 0 && index < target.length) {
          this.#note(index * bytes, (index + 1) * bytes)
        }
        return stored
      }
    })
    return watched
  }

  #watchDataView(view: DataView): DataView {
    return new Proxy(view, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key, target)
        if (typeof value !== 'function') return value
        const bits = /^set\D+(\d+)$/.exec(String(key))?.[1]
        return (...args: readonly unknown[]) => {
          this.#count()
          const result: unknown = Reflect.apply(value, target, args)
          const from = Number(args[0])
          if (bits !== undefined) this.#note(from, from + Number(bits) / 8)
          return result
        }
      }
    })
  }

  #count(): void {
    if (++this.#accesses > this.#mostAccesses) {
      throw new Error(
        `The call was stopped: it read and wrote ${this.#mostAccesses} elements without ` +
          'returning'
      )
    }
  }

  /** Records a store of the bytes from `from` to `to`. */
  #note(from: number, to: number): void {
    const changes: WordChange[] = []
    for (let word = from >> 2; word < to / 4; word++) {
      changes.push({ word, before: this.#known[word], after: this.words[word] })
      this.#known[word] = this.words[word]
    }
    this.#steps.push({ kind: 'store', changes, stack: this.#stackHere() })
  }

  /** Records all words that differ from the known contents as one step. */
  #compare(kind: StepKind, stack: string): void {
    const { words } = this
    const known = this.#known
    const changes: WordChange[] = []
    const end = Math.ceil(this.#end() / 4)
    for (let word = 0; word < end; word++) {
      if (words[word] === known[word]) continue
      changes.push({ word, before: known[word], after: words[word] })
      known[word] = words[word]
    }
    if (changes.length > 0) this.#steps.push({ kind, changes, stack })
  }

  #stackHere(): string {
    const stack = new Error().stack ?? ''
    const known = this.#stacks.get(stack)
    if (known !== undefined) return known
    this.#stacks.set(stack, stack)
    return stack
  }
}
