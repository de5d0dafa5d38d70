/**
 * Use after the end: of a closed heap, of its views, of memory that was transferred to another
 * thread.
 */
import { Heap, Region } from '../../../lib/index.js'
import type { Kind } from '../kind.js'
import { HEAP_BYTES, type Scene } from '../scene.js'

function busy(scene: Scene, heap: Heap): number[] {
  return Array.from({ length: 20 }, () => heap.malloc(scene.random.below(200)))
}

export const lifetimeKinds: readonly Kind[] = [
  {
    name: 'use of a heap after close()',
    atMost: 2000,
    inject(scene) {
      const heap = Heap.map({ size: HEAP_BYTES, ...scene.options })
      const pointer = scene.random.of(busy(scene, heap))
      heap.close()
      const calls = [
        () => heap.malloc(8),
        () => heap.calloc(8, 1),
        () => heap.realloc(pointer, 8),
        () => heap.free(pointer),
        () => heap.view(pointer),
        () => heap.alloc(8),
        () => heap.stats(),
        () => heap.check(),
        () => heap.reset()
      ]
      scene.random.of(calls)()
    }
  },
  {
    name: 'free of a view after close()',
    atMost: 2000,
    inject(scene) {
      const heap = Heap.map({ size: HEAP_BYTES, ...scene.options })
      const view = heap.alloc(scene.random.below(200))
      heap.close()
      heap.free(view)
    }
  },
  {
    name: 'write through a view after close()',
    note: 'the view is empty: an index is ignored, `set` throws',
    atMost: 2000,
    inject(scene) {
      const heap = Heap.map({ size: HEAP_BYTES, ...scene.options })
      const view = heap.alloc(scene.random.between(1, 200))
      heap.close()
      view[0] = 1
      try {
        view.set([1])
      } catch {
        throw Object.assign(new Error('V8 refuses'), { code: 'TypeError' })
      }
    }
  },
  {
    name: 'use of a heap whose Region was closed',
    atMost: 2000,
    inject(scene) {
      const region = Region.map(HEAP_BYTES)
      const heap = Heap.format(region, scene.options)
      const pointer = scene.random.of(busy(scene, heap))
      region.close()
      scene.random.of([() => heap.free(pointer), () => heap.malloc(8), () => heap.check()])()
    }
  },
  {
    name: 'use of a heap whose buffer was transferred',
    inject(scene) {
      const heap = Heap.format(new ArrayBuffer(HEAP_BYTES), scene.options)
      const pointer = scene.random.of(busy(scene, heap))
      structuredClone(heap.buffer, { transfer: [heap.buffer] })
      scene.random.of([
        () => heap.free(pointer),
        () => heap.malloc(8),
        () => heap.stats(),
        () => heap.check()
      ])()
    }
  }
]
