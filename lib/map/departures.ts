/** The values that left a cache, for a function of the user's that wants to know. */
import type { MapKey } from './keys.js'
import type { Reason } from './room.js'
import type { Table } from './table.js'

/**
 * Calls `dispose` for what left the table, but not for values that were replaced if
 * `withoutReplaced`, nor for one that was replaced by its equal. Throws what `dispose` throws
 * first, when it was called for all.
 */
export function disposeOf<K extends MapKey, V>(
  table: Table,
  dispose: ((value: V, key: K, reason: Reason) => void) | undefined,
  withoutReplaced: boolean,
  replacedBy: V | undefined
): void {
  const { departed = [] } = table
  // The function may remove entries as well.
  table.departed = []
  const errors: unknown[] = []
  for (const { key, value, reason } of departed) {
    if (reason === 'set' && (withoutReplaced || value === replacedBy)) continue
    try {
      dispose?.(value, key, reason)
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length > 0) throw errors[0]
}
