/**
 * What offheap publishes through Node's `diagnostics_channel`, and writes to stderr with
 * NODE_DEBUG=offheap.
 *
 * A subscriber may call anything, `close()` included. So an event is published only after the
 * operation that caused it is complete:
 *
 * - An operation that may publish runs inside `afterwards`. Its events wait until it is complete,
 *   whether it returns or throws.
 * - The fast paths of malloc, free and realloc publish no events. When one would have to (see
 *   `isHolding`), it changes nothing and fails, and the slow path does the work inside
 *   `afterwards`.
 *
 * Without subscribers, an event costs the check of one flag.
 */
import { type Channel, channel } from 'node:diagnostics_channel'
import { debuglog } from 'node:util'

/** The events, by channel. Sizes are in bytes. */
export interface Events {
  /** Memory was mapped. */
  'offheap:map': { readonly region: object; readonly size: number }
  /** Memory was unmapped by close(). */
  'offheap:close': { readonly region: object; readonly size: number }
  /** The block space of a heap grew past one or more MiB boundaries. */
  'offheap:grow': { readonly heap: object; readonly highWater: number }
  /**
   * A heap returned free pages to the system, by trim() or by itself. `bytes` counts resident and
   * non-resident pages.
   */
  'offheap:trim': { readonly heap: object; readonly bytes: number }
  /** No block could hold a request. */
  'offheap:out-of-memory': { readonly heap: object; readonly requested: number }
  /** An error is about to be thrown: a wrong pointer, a double free, or corruption. */
  'offheap:fault': { readonly heap: object; readonly error: Error }
}

const channels = new Map<string, Channel>()
const debug = debuglog('offheap')

/** The nesting depth of operations that publish afterwards. */
let holding = 0
/** Events of operations in progress. */
const waiting: (() => void)[] = []

/** Is there an operation in progress that publishes its events when it is complete? */
export function isHolding(): boolean {
  return holding !== 0
}

/**
 * Runs an operation, then publishes its events. Returns what the operation returns, and throws what
 * it throws.
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
 * Publishes an event now, or after the operation in progress. `event` is called at once, if the
 * channel has subscribers.
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

/** Publishes the waiting events in order, followed by those that subscribers cause. */
function publishWaiting(): void {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) next()
}

/**
 * Calls the subscribers. Node reports an exception of a subscriber as uncaught, on the next tick;
 * other exceptions are handled the same way here.
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

/** The values of an event that fit in a line of text. */
function describe(message: object): string {
  return Object.entries(message)
    .filter(([, value]) => typeof value === 'number' || value instanceof Error)
    .map(([name, value]) => `${name}=${value instanceof Error ? value.message : value}`)
    .join(' ')
}
