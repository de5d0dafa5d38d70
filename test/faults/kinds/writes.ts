/**
 * Wrong writes through the whole-heap views: after the end of a block, before its beginning, to
 * free memory.
 */
import type { Kind } from '../kind.js'
import { NoPlace } from '../random.js'
import { type Block, entryOf, type Parts, partsOf, type Scene } from '../scene.js'

const LIVE =
  'The byte belongs to the payload of a live block. Its owner may write to it at any time, ' +
  'and a typed array does not know who writes.'

/** A block, and a call that frees it, by free or realloc. */
function victim(
  scene: Scene,
  suits?: (block: Block) => boolean
): { block: Block; giveBack: () => void } {
  const block = scene.take(suits)
  const { heap, random } = scene
  const giveBack = (): void => {
    if (random.below(3) !== 0) heap.free(block.pointer)
    else if (heap.realloc(block.pointer, random.between(1, 400)) === 0) heap.free(block.pointer)
  }
  return { block, giveBack }
}

/** Whether the memory right after the block is free. */
function freeBehind({ heap }: Scene): Set<number> {
  const before = new Set<number>()
  let previous = 0
  for (const { pointer, used } of heap.blocks()) {
    if (!used) before.add(previous)
    previous = pointer
  }
  return before
}

/** A freed block that is no longer in the quarantine. */
function freed(scene: Scene, size: number): Block {
  const block = scene.allocate(size)
  // Keep a block after it, so that it does not become wilderness.
  scene.live.push(scene.allocate(250))
  scene.heap.free(block.pointer)
  letGo(scene)
  return block
}

/** Frees so much that everything now in quarantine leaves it. */
function letGo({ heap, options }: Scene): void {
  for (let bytes = 0; bytes <= (options.quarantine ?? 0); bytes += 1000)
    heap.free(heap.malloc(1000))
}

/** Frees everything, and allocates memory of that size again. */
function churn(scene: Scene, size: number): void {
  letGo(scene)
  const all = Array.from({ length: 40 }, () => scene.heap.malloc(size))
  for (const pointer of all) scene.heap.free(pointer)
}

/**
 * Overwrites 1 to 4 bytes of a part of the heap; then allocates and frees blocks as the next use.
 */
function strayWrite(scene: Scene, part: keyof Parts): () => void {
  const [begin, end] = partsOf(scene)[part]
  const at = scene.random.between(begin, end - 1)
  scene.spoil(at, Math.min(end, at + scene.random.between(1, 4)))
  return () => {
    for (let i = 0; i < 20; i++) scene.step()
  }
}

export const writeKinds: readonly Kind[] = [
  {
    name: 'overflow by one byte',
    inject(scene) {
      const { block, giveBack } = victim(scene)
      scene.spoilByte(block.pointer + block.size)
      return giveBack
    }
  },
  {
    name: 'overflow by one byte that is 0, as in a C string',
    note: 'injections where the byte was already 0 are repeated elsewhere',
    inject(scene) {
      const { block, giveBack } = victim(
        scene,
        ({ pointer, size }) => scene.heap.u8[pointer + size] !== 0
      )
      scene.heap.u8[block.pointer + block.size] = 0
      return giveBack
    }
  },
  {
    name: 'overflow by 2 to 16 bytes, into the next header and links',
    inject(scene) {
      const { block, giveBack } = victim(scene)
      scene.spoil(
        block.pointer + block.size,
        block.pointer + block.size + scene.random.between(2, 16)
      )
      return giveBack
    }
  },
  {
    name: 'overflow by 17 to 600 bytes, over whole blocks',
    inject(scene) {
      const { block, giveBack } = victim(scene)
      const end = block.pointer + block.size + scene.random.between(17, 600)
      scene.spoil(block.pointer + block.size, Math.min(end, scene.heap.u8.length))
      return giveBack
    }
  },
  {
    name: 'overflow into a free block: header, links, footer',
    inject(scene) {
      const suits = freeBehind(scene)
      const { block, giveBack } = victim(scene, ({ pointer }) => suits.has(pointer))
      scene.spoil(
        block.pointer + block.size,
        block.pointer + block.size + scene.random.between(1, 24)
      )
      return giveBack
    }
  },
  {
    name: 'overflow, then free of the block after it',
    inject(scene) {
      const pointers = scene.live.map(({ pointer }) => pointer).sort((a, b) => a - b)
      const { block } = victim(scene, ({ pointer }) => pointer !== pointers.at(-1))
      scene.spoil(
        block.pointer + block.size,
        block.pointer + block.size + scene.random.between(100, 200)
      )
      const next = pointers[pointers.indexOf(block.pointer) + 1] ?? 0
      scene.live = scene.live.filter(({ pointer }) => pointer !== next)
      // The block itself is freed at the end.
      scene.live.push(block)
      return () => scene.heap.free(next)
    }
  },
  {
    name: 'underflow by one byte',
    inject(scene) {
      const { block, giveBack } = victim(scene)
      scene.spoilByte(block.pointer - 1)
      return giveBack
    }
  },
  {
    name: 'underflow by 2 to 16 bytes',
    inject(scene) {
      const { block, giveBack } = victim(scene)
      scene.spoil(block.pointer - scene.random.between(2, 16), block.pointer)
      return giveBack
    }
  },
  {
    name: 'write immediately after free',
    note:
      'next use: more blocks are freed and allocated, until the memory would be allocated ' +
      'again',
    inject(scene) {
      const block = scene.allocate(scene.random.between(16, 300))
      scene.live.push(scene.allocate(250))
      scene.heap.free(block.pointer)
      const at = block.pointer + scene.random.below(block.size)
      scene.spoil(at, Math.min(at + scene.random.between(1, 8), block.pointer + block.size))
      return () => churn(scene, block.size)
    }
  },
  {
    name: 'write long after free',
    inject(scene) {
      const block = freed(scene, scene.random.between(16, 300))
      const at = block.pointer + scene.random.below(block.size)
      scene.spoil(at, Math.min(at + scene.random.between(1, 8), block.pointer + block.size))
      return () => churn(scene, block.size)
    }
  },
  {
    name: 'write through the old pointer after realloc moved the block',
    inject(scene) {
      const block = scene.take(({ size }) => size >= 8)
      const moved = scene.heap.realloc(block.pointer, 2000)
      if (moved === 0 || moved === block.pointer) throw new NoPlace()
      scene.live.push({ pointer: moved, size: 2000 })
      scene.spoilByte(block.pointer + scene.random.below(block.size))
      return () => churn(scene, block.size)
    }
  },
  {
    name: 'write after free, when the memory belongs to another block',
    hopeless: LIVE,
    inject(scene) {
      const { pointer, size } = scene.random.of(scene.live.filter(block => block.size > 0))
      scene.spoilByte(pointer + scene.random.below(size))
    }
  },
  {
    name: 'write that skips the end of its block and hits the payload of another',
    hopeless: LIVE,
    inject(scene) {
      const { pointer, size } = scene.random.of(scene.live.filter(block => block.size >= 4))
      scene.spoil(pointer + 1, pointer + Math.min(size, 9))
    }
  },
  {
    name: 'read past the end, or after free',
    hopeless:
      'A read leaves no trace, and a typed array has no hook for it. A read from a freed ' +
      'block returns the fill pattern.',
    inject(scene) {
      const { pointer, size } = scene.random.of(scene.live)
      void scene.heap.u8[pointer + size + scene.random.below(8)]
    }
  },
  {
    name: 'stray write to the header of the heap, 1 to 4 bytes',
    inject(scene) {
      const at = scene.random.below(124)
      scene.spoil(at, at + scene.random.between(1, 4))
      return () => void scene.heap.malloc(8)
    }
  },
  {
    name: 'stray write to memory that was never allocated',
    note: 'next use: it is allocated',
    inject(scene) {
      const { top, highWater, metadata, size } = scene.heap.stats()
      const begin = metadata + highWater + 64
      // The malloc below can't reach the very end.
      scene.spoilByte(scene.random.between(begin, size - 256))
      return () => {
        const pointer = scene.heap.malloc(size - 8 - top - 64)
        if (pointer !== 0) scene.heap.free(pointer)
      }
    }
  },
  {
    name: 'stray write to the header of a used block',
    note: 'in a hardened heap: to its header in the ledger',
    inject(scene) {
      const { block, giveBack } = victim(scene)
      scene.spoilByte(entryOf(scene, block.pointer) + scene.random.below(4))
      return giveBack
    }
  },
  {
    name: 'stray write to the header, the links or the footer of a free block',
    note: 'in a hardened heap: in the ledger; next use: the block before it is freed',
    inject(scene) {
      const blocks = [...scene.heap.blocks()]
      const isFree = new Set(blocks.filter(({ used, quarantined }) => !used && !quarantined))
      const { pointer, size } = scene.random.of(
        blocks.filter((block, i) => isFree.has(block) && blocks[i - 1]?.used)
      )
      const front = blocks.findLast(block => block.pointer < pointer)?.pointer ?? 0
      scene.take(block => block.pointer === front)
      const footer = scene.options.hardened ? size / 4 - 4 : size - 4
      scene.spoilByte(
        entryOf(scene, pointer) + scene.random.of([0, 4, 8, footer]) + scene.random.below(4)
      )
      return () => scene.heap.free(front)
    }
  },
  {
    name: 'stray write to the index of the free blocks',
    note: 'next use: 20 calls',
    hopeless:
      'The index may lag behind the blocks, so that a search begins too early or finds ' +
      'nothing: such a value is valid. A free block that it leads to must agree with its ' +
      'seal, otherwise the call throws.',
    inject: scene => strayWrite(scene, 'index')
  },
  {
    name: 'stray write to the table of seals',
    note: 'next use: 20 calls',
    only: 'hardened',
    inject: scene => strayWrite(scene, 'seals')
  },
  {
    name: 'stray write to the notes about pages returned to the system',
    note: 'next use: 20 calls',
    only: 'hardened',
    inject: scene => strayWrite(scene, 'notes')
  }
]
