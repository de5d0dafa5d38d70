/**
 * What heaps and regions are to everything that looks at objects: console.log, JSON.stringify,
 * structuredClone, Object.freeze, proxies.
 *
 * Their fields are ordinary ones, so that a proxy can stand for an object; hidden, so that nothing
 * prints or copies them; and never assigned again, so that a frozen object can be closed. What
 * changes lies in objects behind them.
 */
import { type InspectOptionsStylized, inspect } from 'node:util'

/** The first argument of a constructor that only the class itself may call. */
export const INSIDE: unique symbol = Symbol('inside')

/** The error of a constructor that was called from outside; `instead` says what to call. */
export function illegalConstructor(instead: string): TypeError {
  return Object.assign(new TypeError(`Illegal constructor: use ${instead}`), {
    code: 'ERR_ILLEGAL_CONSTRUCTOR'
  })
}

/**
 * The one property that can be seen: a value that can't be cloned, and whose name is in the
 * DataCloneError.
 */
const UNCLONEABLE = 'uncloneable'

/**
 * Hides all fields of a new object, which are final. `instead` ends the message of the error when
 * somebody clones it.
 */
export function seal(object: object, instead: string): void {
  for (const name of Object.keys(object)) {
    Object.defineProperty(object, name, {
      enumerable: name === UNCLONEABLE,
      writable: false,
      configurable: false
    })
  }
  if (isSealed(object)) return
  // A symbol of its own for each, so that two of them are not deeply equal.
  Object.defineProperty(object, UNCLONEABLE, { value: Symbol(instead), enumerable: true })
}

/** Is this an object that its class made, or a proxy for one? */
export function isSealed(object: object): boolean {
  return Object.hasOwn(object, UNCLONEABLE)
}

/**
 * What util.inspect, and so console.log, shows of an object: the name of its class, and plain
 * values.
 */
export function inspectAs(
  name: string,
  values: object,
  depth: number,
  options: InspectOptionsStylized
): string {
  if (depth < 0) return options.stylize(`[${name}]`, 'special')
  return `${name} ${inspect(values, { ...options, depth: 0 })}`
}
