/**
 * What offheap tells whoever wants to know, through Node's `diagnostics_channel`, and to stderr with NODE_DEBUG=offheap. With
 * nobody listening an event costs one look at a flag, and none lies on the way of an ordinary malloc or free.
 */
import { type Channel, channel } from 'node:diagnostics_channel'
import { debuglog } from 'node:util'

/** The events, by channel. Amounts are in bytes. */
export interface Events {
  /** Memory was mapped. */
  'offheap:map': { readonly region: object; readonly size: number }
  /** Mapped memory was unmapped by close(). */
  'offheap:close': { readonly region: object; readonly size: number }
  /** The block space of a heap reached another MiB, or several. */
  'offheap:grow': { readonly heap: object; readonly highWater: number }
  /** A heap gave free pages back, asked or by itself; `bytes` is what was given, in memory or not. */
  'offheap:trim': { readonly heap: object; readonly bytes: number }
  /** No block could hold a request. */
  'offheap:out-of-memory': { readonly heap: object; readonly requested: number }
  /** A wrong pointer, a double free, damage: what is about to be thrown. */
  'offheap:fault': { readonly heap: object; readonly error: Error }
}

const channels = new Map<string, Channel>()
const debug = debuglog('offheap')

/** Publishes an event. `event` is called only when somebody listens. */
export function tell<Name extends keyof Events>(name: Name, event: () => Events[Name]): void {
  let to = channels.get(name)
  if (to === undefined) {
    to = channel(name)
    channels.set(name, to)
  }
  if (!to.hasSubscribers && !debug.enabled) return
  const message = event()
  to.publish(message)
  if (debug.enabled) debug('%s %s', name.slice('offheap:'.length), describe(message))
}

/** The plain values of an event: what a line of text can hold. */
function describe(message: object): string {
  return Object.entries(message)
    .filter(([, value]) => typeof value === 'number' || value instanceof Error)
    .map(([name, value]) => `${name}=${value instanceof Error ? value.message : value}`)
    .join(' ')
}
