/**
 * Memory that remembers every store. An allocator gets views that work as typed arrays do, and each
 * store is a step: the words that changed, and the stack of the code that stored. Afterwards one
 * can go through a call store by store, forward and back, without running it again.
 *
 * Stores to elements are seen as they happen. After a method that writes many elements (`fill`,
 * `copyWithin`, …) the whole memory is compared with what was known of it, and again at the end of
 * a call. So the steps always add up to the bytes that are there.
 */

/** One word, before and after. */
export interface WordChange {
  readonly word: number
  readonly before: number
  readonly after: number
}

/**
 * - `store`: an element was stored.
 * - `bulk`: a method wrote several.
 * - `unseen`: found at the end of the call: written through a view of the allocator's own.
 * - `payload`: the program filled its block.
 * - `sbrk`: the end of the heap moved.
 */
export type StepKind = 'store' | 'bulk' | 'unseen' | 'payload' | 'sbrk'

export interface Step {
  readonly kind: StepKind
  /** The words that were written; of a store also when their value stayed the same. */
  readonly changes: readonly WordChange[]
  /** The stack at the store, as the browser writes it; empty when no code is to be shown. */
  readonly stack: string
  /** Of an `sbrk`, where the heap ended before and ends now. */
  readonly high?: { readonly before: number; readonly after: number }
}

/** The memory as typed arrays, as a lab's allocator gets it. */
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

/** The methods of typed arrays that write. */
const WRITERS = new Set(['fill', 'set', 'copyWithin', 'sort', 'reverse'])

type Elements = Exclude<Views[keyof Views], DataView>

export class Recorder {
  /** The memory itself. What is stored here is no step of its own. */
  readonly words: Int32Array
  /** The memory as the steps so far leave it. */
  readonly #known: Int32Array
  readonly #mostAccesses: number
  readonly #end: () => number
  /** Each stack once: the same calls lead to the same store over and over. */
  readonly #stacks = new Map<string, string>()
  #accesses = 0
  #steps: Step[] = []

  /**
   * @param mostAccesses a call that reads and writes more elements than this is stopped with an
   * error
   * @param end the byte offset behind which nothing is written but by stores to elements
   */
  constructor(buffer: ArrayBuffer, mostAccesses: number, end = () => buffer.byteLength) {
    this.words = new Int32Array(buffer)
    this.#known = this.words.slice()
    this.#mostAccesses = mostAccesses
    this.#end = end
  }

  /** Forgets the steps so far: a call begins. */
  begin(): void {
    this.#steps = []
    this.#accesses = 0
  }

  /** The steps of the call, which is over. */
  end(): readonly Step[] {
    this.#compare('unseen', '')
    return this.#steps
  }

  /** The program writes into its block. */
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

  /** Views of the memory that record. */
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

  /** A view of the memory that records what is stored through it. */
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
          'coming to an end'
      )
    }
  }

  /** Bytes `from` to `to` were stored. */
  #note(from: number, to: number): void {
    const changes: WordChange[] = []
    for (let word = from >> 2; word < to / 4; word++) {
      changes.push({ word, before: this.#known[word], after: this.words[word] })
      this.#known[word] = this.words[word]
    }
    this.#steps.push({ kind: 'store', changes, stack: this.#stackHere() })
  }

  /** All words that are not as they were known to be are one step. */
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
