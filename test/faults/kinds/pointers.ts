/**
 * Wrong pointers: arguments of free, realloc and others that are not, or no longer, the pointer of
 * a block.
 */
import { Heap } from '../../../lib/index.js'
import type { Kind } from '../kind.js'
import { NoPlace } from '../random.js'
import { HEAP_BYTES, type Scene } from '../scene.js'

const REUSED =
  'A block begins at the same address again, so the pointer is valid; only the owner has ' +
  'changed. The quarantine makes this rare.'

/** Passes a pointer to any of the calls that take one. */
function use(scene: Scene, pointer: number): void {
  const { heap, random } = scene
  const call = random.below(4)
  if (call === 0) heap.realloc(pointer, random.between(1, 300))
  else if (call === 1) heap.usableSize(pointer)
  else heap.free(pointer)
}

/** The beginnings of all used blocks. */
function begins({ live }: Scene): Set<number> {
  return new Set(live.map(({ pointer }) => pointer))
}

export const pointerKinds: readonly Kind[] = [
  {
    name: 'double free, at once',
    inject(scene) {
      const { pointer } = scene.take()
      scene.heap.free(pointer)
      use(scene, pointer)
    }
  },
  {
    name: 'double free after 30 other calls',
    note: 'by then, the default heap may have allocated the memory again',
    inject(scene) {
      const { pointer } = scene.take()
      scene.heap.free(pointer)
      for (let i = 0; i < 30; i++) scene.step()
      scene.heap.free(pointer)
    }
  },
  {
    name: 'double free, when another block begins at the same address',
    hopeless: REUSED,
    inject(scene) {
      // Between two used blocks, a hole is not merged, and is reused by a block of the same size.
      const [before, { pointer, size }, behind] = Array.from({ length: 3 }, () =>
        scene.allocate(2500)
      )
      scene.live.push(before, behind)
      scene.heap.free(pointer)
      let block = scene.allocate(size)
      for (; block.pointer !== pointer; block = scene.allocate(size)) scene.live.push(block)
      scene.live.push(block)
      scene.heap.free(pointer)
    }
  },
  {
    name: 'free of a stale pointer into another block',
    inject(scene) {
      const row = Array.from({ length: 8 }, () => scene.allocate(2500).pointer)
      const [a = 0, b = 0, , ...others] = row
      // The others push the first two out of the quarantine, which become one.
      for (const pointer of [b, a, ...others.slice(0, -1)]) scene.heap.free(pointer)
      scene.live.push(scene.allocate(5000))
      scene.heap.free(b)
    }
  },
  {
    name: 'free of the old pointer after realloc moved the block',
    inject(scene) {
      const { pointer } = scene.take()
      const moved = scene.heap.realloc(pointer, 2000)
      if (moved === 0 || moved === pointer) throw new NoPlace()
      scene.live.push({ pointer: moved, size: 2000 })
      use(scene, pointer)
    }
  },
  {
    name: 'free of an old pointer after reset(), where no block begins now',
    inject(scene) {
      const old = scene.live.map(({ pointer }) => pointer)
      scene.heap.reset()
      scene.live = []
      for (let i = 0; i < 40; i++) scene.step()
      const now = begins(scene)
      use(scene, scene.random.of(old.filter(pointer => !now.has(pointer))))
    }
  },
  {
    name: 'pointer into the middle of a block',
    inject(scene) {
      const { pointer, size } = scene.take(block => block.size >= 16)
      use(scene, pointer + 8 * scene.random.between(1, Math.floor((size - 1) / 8)))
    }
  },
  {
    name: 'pointer into a block whose bytes look like headers',
    inject(scene) {
      const { pointer, size } = scene.allocate(scene.random.between(128, 400))
      const { heap } = scene
      for (let word = 0; word < size >> 2; word++) heap.i32[pointer / 4 + word] = (4 << 1) | 3
      use(scene, pointer + 32)
    }
  },
  {
    name: 'misaligned pointer',
    inject(scene) {
      use(scene, scene.take().pointer + scene.random.between(1, 7))
    }
  },
  {
    name: 'pointer outside the heap',
    inject(scene) {
      use(scene, HEAP_BYTES + 8 * scene.random.below(2 ** 30))
    }
  },
  {
    name: 'pointer into the header or the index',
    inject(scene) {
      use(scene, 8 * scene.random.between(1, scene.heap.stats().metadata / 8 - 1))
    }
  },
  {
    name: 'pointer into the wilderness',
    inject(scene) {
      const { top } = scene.heap.stats()
      use(scene, 8 * scene.random.between(Math.ceil(top / 8) + 2, HEAP_BYTES / 8 - 1))
    }
  },
  {
    name: 'not a pointer: NaN, a fraction, negative, huge, a string, an object',
    inject(scene) {
      const values = [
        Number.NaN,
        8.5,
        -8,
        2 ** 60,
        Number.POSITIVE_INFINITY,
        '128',
        {},
        null,
        undefined,
        128n,
        true
      ]
      Reflect.apply(scene.heap.free, scene.heap, [scene.random.of(values)])
    }
  },
  {
    name: 'view of another heap',
    inject(scene) {
      const other = Heap.format(new ArrayBuffer(HEAP_BYTES), scene.options)
      scene.heap.free(other.alloc(scene.random.below(200)))
    }
  },
  {
    name: 'pointer of another heap, where no block begins in this one',
    inject(scene) {
      const now = begins(scene)
      const other = Heap.format(new ArrayBuffer(HEAP_BYTES), scene.options)
      const pointers = Array.from({ length: 60 }, () => other.malloc(scene.random.below(300)))
      use(scene, scene.random.of(pointers.filter(pointer => pointer !== 0 && !now.has(pointer))))
    }
  },
  {
    name: 'pointer of another heap, where a block begins in this one',
    hopeless: 'The number is a valid pointer here. Use views, which belong to one heap.',
    inject(scene) {
      scene.heap.free(scene.random.of(scene.live).pointer)
    }
  },
  {
    name: 'view that begins inside a block',
    inject(scene) {
      const { pointer, size } = scene.take(block => block.size >= 2)
      scene.heap.free(scene.heap.view(pointer).subarray(scene.random.between(1, size - 1)))
    }
  },
  {
    name: 'block that is never freed',
    note: 'detected by close(), with `trackAllocations`',
    atMost: 1000,
    inject(scene) {
      if (!scene.options.hardened) return
      const found: number[] = []
      const tracked = Heap.format(new ArrayBuffer(HEAP_BYTES), {
        ...scene.options,
        trackAllocations: true,
        onLeaks: leaks => found.push(...leaks.map(({ bytes }) => bytes))
      })
      const pointers = Array.from({ length: 20 }, () =>
        tracked.malloc(scene.random.between(1, 200))
      )
      const lost = scene.random.of(pointers)
      const size = tracked.usableSize(lost)
      for (const pointer of pointers) if (pointer !== lost) tracked.free(pointer)
      return () => {
        tracked.close()
        if (found.length === 1 && found[0] === size)
          throw Object.assign(new Error('a leak'), { code: 'OFFHEAP_LEAK' })
      }
    }
  }
]
