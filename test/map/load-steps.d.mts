/** The methods that the calls use. */
interface Calls {
  get(key: string): unknown
  set(key: string, value: string): unknown
  delete(key: string): boolean
  clear(): void
}
/** Makes one call. */
export function apply(map: Calls, seed: number, call: number): void
/** A part of a map that others use too: the keys of this seed. It is never cleared. */
export function ownKeys(map: Calls, seed: number | string): Calls
