/** The contenders by id: their names in the tables, and what they support. open.ts opens one. */
import { placements } from '#lib/placement/policies.js'
import { FRONT, type HeapName, heapLabel, heapName } from './heap-names.js'

export interface Contender {
  readonly id: string
  readonly label: string
  /** Whether its loop is in JavaScript or in the C++ addon of the benchmark. */
  readonly loop: 'js' | 'c++'
  /** Whether it returns Buffers or Uint8Arrays instead of pointers. */
  readonly buffers: boolean
  /** The most live blocks: with more, it would take minutes. */
  readonly maxLive: number
  /** A library that replaces the system's malloc in the whole process. */
  readonly preload?: string
  /** For a heap of this library: its kind. */
  readonly heap?: HeapName
}

/** The loops that allocate nothing, by language. Their time is part of every other figure. */
export const FLOORS = { js: 'floor-js', 'c++': 'floor-c++' } as const

function contender(id: string, label: string, rest: Partial<Contender> = {}): Contender {
  return { id, label, loop: 'js', buffers: false, maxLive: Infinity, ...rest }
}

function ofHeap(id: string, heap: HeapName): Contender {
  return contender(id, heapLabel(heap), { heap, buffers: heap.flags.get('views') === true })
}

/** The ids of our heaps in a whole run; others that heap-names.ts can read may be named. */
const HEAPS: readonly string[] = [
  'first-fit',
  `first-fit+${FRONT.flag}`,
  'segregated-fit',
  `segregated-fit-${FRONT.flag}`,
  ...placements.filter(name => name !== 'first-fit' && name !== 'segregated-fit'),
  'first-fit+closed',
  'segregated-fit+closed',
  'first-fit+views',
  'segregated-fit+views'
]

const OTHERS: readonly Contender[] = [
  contender('glibc', 'C library, C++ loop', { loop: 'c++' }),
  contender('mimalloc', 'mimalloc, C++ loop', { loop: 'c++', preload: 'libmimalloc.so.2' }),
  contender('jemalloc', 'jemalloc, C++ loop', { loop: 'c++', preload: 'libjemalloc.so.2' }),
  contender('glibc-call', 'C library, a Node-API call each'),
  contender('dlmalloc-wasm', 'dlmalloc, WebAssembly'),
  contender('tlsf-wasm', 'AssemblyScript TLSF, WebAssembly'),
  contender('thi.ng', '@thi.ng/malloc', { maxLive: 1000 }),
  contender('Buffer.alloc', 'Buffer.alloc', { buffers: true }),
  contender('Buffer.allocUnsafe', 'Buffer.allocUnsafe', { buffers: true }),
  contender('Buffer.allocUnsafeSlow', 'Buffer.allocUnsafeSlow', { buffers: true }),
  contender('Uint8Array', 'new Uint8Array', { buffers: true }),
  contender(FLOORS.js, 'floor: the JavaScript loop'),
  contender(FLOORS['c++'], 'floor: the C++ loop', { loop: 'c++' })
]

function known(id: string): Contender | undefined {
  const other = OTHERS.find(one => one.id === id)
  if (other !== undefined) return other
  const heap = heapName(id)
  if (heap !== undefined) return ofHeap(id, heap)
  if (id.startsWith('module:')) return contender(id, id.replace(/^module:(.*\/)?/, ''))
  return undefined
}

/** Throws a RangeError that lists the names. */
export function contenderOf(id: string): Contender {
  const found = known(id)
  if (found === undefined) {
    throw new RangeError(`No contender is called '${id}'. There are: ${ALL.join(', ')}`)
  }
  return found
}

/** The ids of all contenders of a whole run, in the order of the tables. */
export const ALL: readonly string[] = [...HEAPS, ...OTHERS.map(one => one.id)]

export function isFloor(id: string): boolean {
  return id === FLOORS.js || id === FLOORS['c++']
}
