/**
 * Wrong memory: regions that are not, or no longer, a heap, or that change while a Heap uses them.
 */
import { Heap } from '../../../lib/index.js'
import type { Kind } from '../kind.js'
import { entryOf, HEAP_BYTES, type Scene } from '../scene.js'

/** The bytes of the busy heap. */
function copyOf({ heap }: Scene): Uint8Array<ArrayBuffer> {
  return heap.u8.slice()
}

/** A misleading word: a size, a place, a counter, all bits, or none. */
function hostile(scene: Scene): number {
  const { random } = scene
  return random.of([
    0,
    -1,
    1,
    2 ** 31 - 1,
    -(2 ** 31),
    random.below(HEAP_BYTES),
    random.below(HEAP_BYTES / 4),
    random.below(2 ** 30)
  ])
}

export const regionKinds: readonly Kind[] = [
  {
    name: 'attach to a region with one bit of its header, or of the header of a block, changed',
    inject(scene) {
      const bytes = copyOf(scene)
      const words = new Int32Array(bytes.buffer)
      const headers = [...scene.heap.blocks()].map(({ pointer }) => entryOf(scene, pointer) / 4)
      const at = scene.random.below(2) === 0 ? scene.random.below(32) : scene.random.of(headers)
      words[at] = (words[at] ?? 0) ^ (1 << scene.random.below(32))
      Heap.attach(bytes.buffer)
    }
  },
  {
    name: 'attach to a region with a hostile header',
    inject(scene) {
      const bytes = copyOf(scene)
      const words = new Int32Array(bytes.buffer)
      const before = words.slice(0, 32)
      while (words.subarray(0, 32).every((word, i) => word === before[i])) {
        for (let i = scene.random.between(1, 8); i > 0; i--)
          words[scene.random.below(32)] = hostile(scene)
      }
      Heap.attach(bytes.buffer)
    }
  },
  {
    name: 'attach to a truncated region',
    inject(scene) {
      Heap.attach(copyOf(scene).buffer.slice(0, scene.random.below(HEAP_BYTES)))
    }
  },
  {
    name: 'attach to arbitrary bytes',
    inject(scene) {
      const bytes = new Uint8Array(scene.random.below(4096))
      for (let i = 0; i < bytes.length; i++) bytes[i] = scene.random.below(256)
      Heap.attach(bytes.buffer)
    }
  },
  {
    name: 'attach to a heap with 512 overwritten bytes among the blocks',
    inject(scene) {
      const bytes = copyOf(scene)
      const { metadata, top } = scene.heap.stats()
      const begin = scene.random.between(metadata, top - 512)
      for (let at = begin; at < begin + 512; at++)
        bytes[at] = (bytes[at] ?? 0) ^ scene.random.between(1, 255)
      Heap.attach(bytes.buffer)
    }
  },
  {
    name: 'memory formatted again under a Heap in use',
    inject(scene) {
      const { pointer } = scene.random.of(scene.live)
      scene.live = []
      Heap.format(scene.heap.buffer, scene.options)
      scene.heap.free(pointer)
    }
  }
]
