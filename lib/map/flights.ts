/**
 * Loads in progress. Whoever asks for the same key meanwhile gets the same promise, so that each
 * key is loaded only once at a time.
 */
import type { MapKey } from './keys.js'

interface Flight<V> {
  readonly promise: Promise<V>
  readonly abort: AbortController
}

export class Flights<V> {
  private readonly flights = new Map<string, Flight<V>>()

  /**
   * Returns the promise of the load of a key, which it starts if there is none. `load` is called
   * with a signal that `cancel` aborts. `land` stores the loaded value, unless the load was
   * cancelled.
   */
  join(
    key: MapKey,
    load: (signal: AbortSignal) => V | PromiseLike<V>,
    land: (value: V) => void
  ): Promise<V> {
    const name = nameOf(key)
    const known = this.flights.get(name)
    if (known !== undefined) return known.promise
    const abort = new AbortController()
    const fly = async (): Promise<V> => {
      try {
        const value = await load(abort.signal)
        if (this.flights.get(name)?.abort === abort) {
          this.flights.delete(name)
          land(value)
        }
        return value
      } finally {
        if (this.flights.get(name)?.abort === abort) this.flights.delete(name)
      }
    }
    // Register the flight before its load begins, which may ask for the same key.
    const promise = Promise.resolve().then(fly)
    this.flights.set(name, { promise, abort })
    return promise
  }

  /** The key was set or deleted: the value that is being loaded must not be stored. */
  cancel(key: MapKey): void {
    if (this.flights.size === 0) return
    const name = nameOf(key)
    const flight = this.flights.get(name)
    if (flight === undefined) return
    this.flights.delete(name)
    flight.abort.abort()
  }

  cancelAll(): void {
    const all = [...this.flights.values()]
    this.flights.clear()
    for (const { abort } of all) abort.abort()
  }
}

/** A unique string for each key. Strings and bytes have different first letters. */
const nameOf = (key: MapKey): string =>
  typeof key === 'string' ? `s${key}` : `b${Buffer.from(key).toString('latin1')}`
