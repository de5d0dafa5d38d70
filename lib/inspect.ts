/**
 * How heaps and regions appear to console.log, JSON.stringify, structuredClone, Object.freeze and
 * proxies.
 *
 * Their fields are ordinary properties, so that a proxy can stand for an object. They are not
 * enumerable, so that nothing prints or copies them. They are never reassigned, so that a frozen
 * object can be closed: mutable state is in objects that they refer to.
 */
import { type InspectOptionsStylized, inspect } from 'node:util'

/** The first argument of a private constructor. */
export const INSIDE: unique symbol = Symbol('inside')

/** The error of a private constructor that was called from outside; `instead` says what to call. */
export function illegalConstructor(instead: string): TypeError {
  return Object.assign(new TypeError(`Illegal constructor: use ${instead}`), {
    code: 'ERR_ILLEGAL_CONSTRUCTOR'
  })
}

/**
 * The only enumerable property: its value, a symbol, can't be cloned, and is named in the
 * DataCloneError.
 */
const UNCLONEABLE = 'uncloneable'

/**
 * Hides all fields of a new object, and makes them read-only. `instead` is part of the
 * DataCloneError's message.
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
  // Each object has its own symbol, so that no two are deeply equal.
  Object.defineProperty(object, UNCLONEABLE, { value: Symbol(instead), enumerable: true })
}

/** Is this a sealed object, or a proxy for one? */
export function isSealed(object: object): boolean {
  return Object.hasOwn(object, UNCLONEABLE)
}

/** The result of util.inspect, and so of console.log: the name of the class, and plain values. */
export function inspectAs(
  name: string,
  values: object,
  depth: number,
  options: InspectOptionsStylized
): string {
  if (depth < 0) return options.stylize(`[${name}]`, 'special')
  return `${name} ${inspect(values, { ...options, depth: 0 })}`
}
