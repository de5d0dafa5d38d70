/** Opens a contender whose loop is JavaScript, in the process that will measure it and no other. */
import { BUFFERS } from './buffers.js'
import { contenderOf } from './contenders.js'
import { openHeap } from './heaps.js'
import { OTHERS, openModule } from './others.js'
import type { Opened } from './subject.js'

/** `size`: bytes of the region, for heaps. */
export async function openSubject(id: string, size: number): Promise<Opened> {
  const { heap } = contenderOf(id)
  if (heap !== undefined) return openHeap(heap, size)
  if (id.startsWith('module:')) return { pointers: await openModule(id, size) }
  const buffers = BUFFERS[id]
  if (buffers !== undefined) return { buffers: buffers() }
  const other = OTHERS[id]
  if (other === undefined) throw new Error(`${id} can't be called from JavaScript`)
  return { pointers: await other() }
}
