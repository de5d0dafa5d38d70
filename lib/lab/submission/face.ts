/**
 * The objects that a submission gets. They are created by functions that refer to nothing outside
 * themselves: their source text is compiled in the submission's own JavaScript context. So no
 * object of the surrounding process can be reached from there, and the submission can't change a
 * prototype that the process uses.
 */

/** The words of a heap's state; see channel.ts. */
export interface FaceWords {
  readonly high: number
  readonly refused: number
  readonly limit: number
}

/**
 * @param heap the mapped memory
 * @param control the channel's words
 * @param at the indexes of this heap's state
 * @param counted counts the words read and written; undefined for views that don't count
 */
export function makeFace(
  heap: ArrayBuffer,
  control: Int32Array,
  at: FaceWords,
  low: number,
  pageSize: number,
  counted: Float64Array | undefined
): unknown {
  const { isInteger } = Number
  const { apply, get, set } = Reflect
  const { min, max, trunc, ceil } = Math
  const { freeze } = Object
  const toNumber = Number
  const text = String
  const proxy = Proxy
  const test = RegExp.prototype.test
  const isIndex = /^-?\d|^NaN$|^undefined$|^null$/

  function sbrk(bytes: number): number {
    if (typeof bytes !== 'number')
      throw new TypeError('The "bytes" argument of sbrk must be of type number')
    if (!isInteger(bytes) || bytes < 0) {
      throw new RangeError(
        `The value of "bytes" is out of range. It must be an integer, 0 or more. Received ${bytes}`
      )
    }
    const old = control[at.high]
    if (old - low + bytes > control[at.limit]) {
      control[at.refused] = min(bytes, 0x7fffffff)
      return -1
    }
    control[at.high] = old + bytes
    return old
  }

  /** Wraps a view so that it counts. `copyWithin` and `set` read and write; `slice` reads. */
  function counting<View extends object>(view: View, width: number): View {
    const tally = counted
    if (tally === undefined) return view
    const length: number = width === 0 ? 0 : toNumber(get(view, 'length'))
    const place = (value: unknown, standard: number) => {
      const index = value === undefined ? standard : trunc(toNumber(value)) || 0
      return min(length, max(0, index < 0 ? index + length : index))
    }
    const costOf = (name: string, args: readonly unknown[]): number => {
      if (name === 'copyWithin') {
        const count = max(
          0,
          min(place(args[2], length) - place(args[1], 0), length - place(args[0], 0))
        )
        return (2 * count * width) / 4
      }
      if (name === 'set') {
        const source = args[0]
        return typeof source === 'object' && source !== null
          ? (2 * toNumber(get(source, 'length')) * width) / 4
          : 0
      }
      const [from, to] = name === 'fill' ? [args[1], args[2]] : [args[0], args[1]]
      return (max(0, place(to, length) - place(from, 0)) * width) / 4
    }
    return new proxy(view, {
      get(target, key) {
        if (typeof key === 'string' && width > 0 && apply(test, isIndex, [key])) {
          tally[0] += max(1, width / 4)
          return get(target, key, target)
        }
        const value: unknown = get(target, key, target)
        if (key === 'buffer')
          throw new TypeError('take the views that memory has, not their buffer')
        if (typeof value !== 'function') return value
        return (...args: readonly unknown[]) => {
          if (key === 'subarray') return counting(apply(value, target, args), width)
          tally[0] += width === 0 ? 1 : max(1, ceil(costOf(text(key), args)))
          return apply(value, target, args)
        }
      },
      set(target, key, value) {
        tally[0] += max(1, width / 4)
        return set(target, key, value, target)
      }
    })
  }

  const face = {
    u8: counting(new Uint8Array(heap), 1),
    i8: counting(new Int8Array(heap), 1),
    u16: counting(new Uint16Array(heap), 2),
    i16: counting(new Int16Array(heap), 2),
    u32: counting(new Uint32Array(heap), 4),
    i32: counting(new Int32Array(heap), 4),
    f32: counting(new Float32Array(heap), 4),
    f64: counting(new Float64Array(heap), 8),
    i64: counting(new BigInt64Array(heap), 8),
    u64: counting(new BigUint64Array(heap), 8),
    dataView: counting(new DataView(heap), 0),
    low,
    pageSize,
    get high() {
      return control[at.high]
    },
    sbrk
  }
  return freeze(face)
}

/**
 * Creates a function that describes what was thrown: its message, NUL, its stack. Compiled in the
 * submission's context.
 */
export function makeDescriber(): (thrown: unknown) => string {
  const text = String
  const { get } = Reflect
  return thrown => {
    try {
      if (typeof thrown !== 'object' || thrown === null) return text(thrown)
      const name = get(thrown, 'name')
      const stack = get(thrown, 'stack')
      return name === undefined
        ? 'an object'
        : `${text(name)}: ${text(get(thrown, 'message'))}\0${text(stack ?? '')}`
    } catch {
      return "something that can't be described"
    }
  }
}

/**
 * Creates the `console` of a submission. Only text leaves its context, and no error of the process
 * enters it. Compiled in the submission's context.
 */
export function makeConsole(write: (text: string) => void): unknown {
  const text = String
  const { stringify } = JSON
  const log = (...values: readonly unknown[]) => {
    let line = ''
    try {
      for (let i = 0; i < values.length; i++) {
        const value = values[i]
        line +=
          (i === 0 ? '' : ' ') +
          (typeof value === 'object' ? (stringify(value) ?? text(value)) : text(value))
      }
      write(`${line}\n`)
    } catch {}
  }
  return { log, error: log, warn: log, info: log, debug: log }
}
