/**
 * What offheap publishes through Node's `diagnostics_channel`, and writes to stderr with
 * NODE_DEBUG=offheap.
 *
 * A subscriber is the caller's code: it may call anything, `close()` included. So nothing is
 * published before it is true:
 *
 * - An operation that may publish runs inside `afterwards`. Its events wait until it is complete,
 *   whether it returns or throws.
 * - The fast path of malloc, free and realloc does without. Where it would have something to
 *   publish (see `isHolding`) it changes nothing and fails, and the slow path does the work inside
 *   `afterwards`.
 *
 * With nobody listening an event costs one look at a flag. The fast path has none.
 */
import { type Channel, channel } from 'node:diagnostics_channel'
import { debuglog } from 'node:util'

/** The events, by channel. Amounts are in bytes. */
export interface Events {
  /** Memory was mapped. */
  'offheap:map': { readonly region: object; readonly size: number }
  /** Mapped memory was given back by close(). */
  'offheap:close': { readonly region: object; readonly size: number }
  /** The block space of a heap reached another MiB, or several. */
  'offheap:grow': { readonly heap: object; readonly highWater: number }
  /**
   * A heap gave free pages back, asked or by itself; `bytes` is what was given, in memory or not.
   */
  'offheap:trim': { readonly heap: object; readonly bytes: number }
  /** No block could hold a request. */
  'offheap:out-of-memory': { readonly heap: object; readonly requested: number }
  /** A wrong pointer, a double free, corruption: what is about to be thrown. */
  'offheap:fault': { readonly heap: object; readonly error: Error }
}

const channels = new Map<string, Channel>()
const debug = debuglog('offheap')

/** How many operations that publish afterwards are under way, one inside the other. */
let holding = 0
/** Events of operations that are not complete. */
const waiting: (() => void)[] = []

/** Is an operation under way that publishes its events when it is complete? */
export function isHolding(): boolean {
  return holding !== 0
}

/**
 * Runs an operation, and publishes its events when it is complete. Returns what it returns, and
 * throws what it throws.
 */
export function afterwards<Result>(operation: () => Result): Result {
  holding++
  try {
    return operation()
  } finally {
    holding--
    if (holding === 0 && waiting.length !== 0) publishWaiting()
  }
}

/**
 * Publishes an event now, or when the operation under way is complete. `event` is called at once,
 * if somebody listens.
 */
export function publish<Name extends keyof Events>(name: Name, event: () => Events[Name]): void {
  let to = channels.get(name)
  if (to === undefined) {
    to = channel(name)
    channels.set(name, to)
  }
  if (!to.hasSubscribers && !debug.enabled) return
  const message = Object.freeze(event())
  const target = to
  waiting.push(() => send(name, target, message))
  if (holding === 0) publishWaiting()
}

/** Publishes what waits, in order. What a subscriber's own calls publish comes behind it. */
function publishWaiting(): void {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) next()
}

/**
 * Tells the subscribers. What a subscriber throws, Node reports as an uncaught exception, later; so
 * is all else done here.
 */
function send(name: string, to: Channel, message: object): void {
  try {
    if (debug.enabled) debug('%s %s', name.slice('offheap:'.length), describe(message))
    to.publish(message)
  } catch (error) {
    process.nextTick(() => {
      throw error
    })
  }
}

/** The plain values of an event: what a line of text can hold. */
function describe(message: object): string {
  return Object.entries(message)
    .filter(([, value]) => typeof value === 'number' || value instanceof Error)
    .map(([name, value]) => `${name}=${value instanceof Error ? value.message : value}`)
    .join(' ')
}
