/** Which contenders this build of the library and this machine have. */
import { Heap } from '#lib/heap/heap.js'
import { placements } from '#lib/placement/policies.js'
import { CONTENDERS } from './contenders.js'
import type { Absent } from './setup.js'

/** Whether this build keeps freed blocks in quick lists: then two freed neighbours don't make one larger block at once. */
function hasQuickLists(): boolean {
  const options = { size: 2 ** 20, quickLists: true }
  const heap = Heap.map(options)
  const left = heap.malloc(64)
  const right = heap.malloc(64)
  heap.malloc(64)
  heap.free(left)
  heap.free(right)
  const merged = heap.malloc(128) === left
  heap.close()
  return !merged
}

/** Our own configurations that this build does not have. */
export function missingConfigurations(): Absent[] {
  const quick = hasQuickLists()
  const absent: Absent[] = []
  for (const { id, ours } of CONTENDERS) {
    const [name, suffix] = id.split('+')
    if (!ours) continue
    if (name !== 'heap-buffers' && !placements.some(known => known === name)) {
      absent.push({ id, reason: `this build has no ${name}` })
    } else if (suffix === 'quick' && !quick) {
      absent.push({ id, reason: 'this build has no quick lists' })
    }
  }
  return absent
}
