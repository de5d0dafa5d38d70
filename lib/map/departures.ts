/** Reports the values that left a cache to the user's `dispose`. */
import type { MapKey } from './keys.js'
import type { Reason } from './room.js'
import type { Table } from './table.js'

/**
 * Calls `dispose` for the values that left the table, except for a value that was replaced by
 * itself and, with `withoutReplaced`, for all replaced values. If `dispose` throws, it is still
 * called for the others; then the first error is thrown.
 */
export function disposeOf<K extends MapKey, V>(
  table: Table,
  dispose: ((value: V, key: K, reason: Reason) => void) | undefined,
  withoutReplaced: boolean,
  replacedBy: V | undefined
): void {
  const { departed = [] } = table
  // `dispose` may remove more entries.
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
