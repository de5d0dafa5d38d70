/**
 * Arbitrary bytes as a heap, or as a program of calls on one with bytes overwritten between them.
 *
 *     ┌───────────┬───────────┬───────────────────────────┬──────────────────────────────┐
 *     │ kind      │ count     │ `count` steps of 6 bytes: │ image: what the memory holds │
 *     │ (1 byte)  │ (1 byte)  │ call, which, value        │ before all of that           │
 *     └───────────┴───────────┴───────────────────────────┴──────────────────────────────┘
 *
 * kind: bits 0 and 1 the placement, 2 slabs, 3 a mapped region instead of an ordinary buffer, 4
 * attach to the image instead of formatting a heap, 5 trimThreshold, 6 four times the memory, 7
 * hardened, instead of slabs.
 *
 * Whatever the bytes are, every call must end with a value or an error with a code; a heap that
 * nothing was written over must be a working one.
 */
import { Heap, type HeapOptions, placements, Region } from '../../lib/index.js'
import { attempt } from './outcome.js'

export const STEP_BYTES = 6

export const ATTACH = 16
const MAPPED = 8
const SLABS = 4
const TRIMS = 32
const LARGER = 64
const HARDENED = 128

/** Bytes of the memory for a kind. A hardened heap needs more. */
export function bytesFor(kind: number): number {
  return 1024 * ((kind & LARGER) !== 0 ? 4 : 1) * ((kind & HARDENED) !== 0 ? 4 : 1)
}

/** The options of a heap of this kind. */
export function optionsFor(kind: number): HeapOptions {
  const hardened = (kind & HARDENED) !== 0
  return { placement: placements[kind & 3], hardened, slabs: !hardened && (kind & SLABS) !== 0 }
}

/** One mapped region for each size: to map one for each input would measure the system. */
const regions = new Map<number, Region>()

function regionOf(bytes: number): Region {
  const known = regions.get(bytes)
  if (known !== undefined) return known
  const region = Region.map(bytes)
  regions.set(bytes, region)
  return region
}

/** What a program works on. */
interface State {
  heap: Heap
  readonly memory: Region | ArrayBuffer
  /** Blocks that calls returned, and some that others will have made stale. */
  readonly pointers: number[]
  /** Whether bytes were overwritten that no call wrote. */
  damaged: boolean
}

type Call = readonly [name: string, run: (state: State, pointer: number, value: number) => unknown]

function keep(state: State, pointer: unknown): unknown {
  if (typeof pointer === 'number' && pointer !== 0) state.pointers.push(pointer)
  return pointer
}

/** Sizes as they matter in a small heap; any number now and then. */
function sizeOf(value: number): number {
  return value % 5 === 0 ? value : value % 7 === 0 ? value % 5000 : value % 200
}

const calls: readonly Call[] = [
  ['malloc', (state, _, value) => keep(state, state.heap.malloc(sizeOf(value)))],
  ['free', ({ heap }, pointer) => heap.free(pointer)],
  ['calloc', (state, _, value) => keep(state, state.heap.calloc(sizeOf(value), value % 3))],
  ['realloc', (state, pointer, value) => keep(state, state.heap.realloc(pointer, sizeOf(value)))],
  [
    'alignedAlloc',
    (state, _, value) =>
      keep(state, state.heap.alignedAlloc(2 ** (value % 14), sizeOf(value >>> 4)))
  ],
  ['overwrite', overwrite],
  ['overwrite the header', (state, _, value) => overwrite(state, (value % 48) * 4, value >>> 6)],
  ['usableSize', ({ heap }, pointer) => heap.usableSize(pointer)],
  ['owns', ({ heap }, pointer) => heap.owns(pointer)],
  ['view', ({ heap }, pointer) => heap.view(pointer)],
  ['free a view', ({ heap }, pointer) => heap.free(heap.u8.subarray(pointer))],
  ['alloc', ({ heap }, _, value) => heap.alloc(sizeOf(value))],
  ['allocZeroed', ({ heap }, _, value) => heap.allocZeroed(sizeOf(value))],
  ['allocBuffer', ({ heap }, _, value) => heap.allocBuffer(sizeOf(value))],
  ['allocArray', ({ heap }, _, value) => heap.allocArray(Float64Array, sizeOf(value))],
  ['root', ({ heap }) => heap.root],
  ['root =', ({ heap }, pointer) => (heap.root = pointer)],
  ['stats', ({ heap }) => heap.stats()],
  ['blocks', ({ heap }) => [...heap.blocks()].length],
  ['freeBlocks', ({ heap }) => [...heap.freeBlocks()].length],
  ['check', ({ heap }) => heap.check()],
  ['leaks', ({ heap }) => heap.leaks()],
  ['trim', ({ heap }) => heap.trim()],
  ['attach', attach],
  ['reset', state => state.heap.reset()]
]

/** The calls that take a block's memory away, or will. */
const takesPointer = new Set(['free', 'realloc', 'free a view', 'root ='])

function isBlock(heap: Heap, pointer: number): boolean {
  return pointer === 0 || [...heap.blocks()].some(block => block.used && block.pointer === pointer)
}

/** Writes one word anywhere. */
function overwrite(state: State, place: number, value: number): void {
  state.heap.i32[(place >>> 2) % state.heap.i32.length] = value
  state.damaged = true
}

/** Continues with the heap that attach returns. */
function attach(state: State): void {
  state.heap = Heap.attach(state.memory)
}

/** A pointer that was returned once, or any place in the memory. */
function pointerOf({ pointers, heap }: State, which: number): number {
  const known = pointers[(which >>> 1) % Math.max(1, pointers.length)]
  return which % 2 === 0 && known !== undefined ? known : (which * 8) % (heap.u8.length + 64)
}

/** Runs the program in `data`. Returns what each call ended in. Throws a finding. */
export function fuzzHeap(data: Uint8Array): string[] {
  const kind = data[0] ?? 0
  const count = data[1] ?? 0
  const bytes = bytesFor(kind)
  const memory = (kind & MAPPED) !== 0 ? regionOf(bytes) : new ArrayBuffer(bytes)
  const all = new Uint8Array(memory instanceof Region ? memory.buffer : memory).fill(0)
  const image = data.subarray(2 + count * STEP_BYTES)
  all.set(image.subarray(0, all.length))
  const opened = attempt('open', () =>
    (kind & ATTACH) !== 0 ? Heap.attach(memory) : format(memory, kind)
  )
  if (!(opened.value instanceof Heap)) return [`open ${opened.code}`]
  // A hardened heap verifies bytes that were never used when it first uses them, not in attach().
  const damaged = (kind & HARDENED) !== 0 && (kind & ATTACH) !== 0
  const state: State = { heap: opened.value, memory, pointers: [], damaged }
  if ((kind & ATTACH) !== 0)
    for (const { used, pointer } of state.heap.blocks()) if (used) state.pointers.push(pointer)
  return run(state, data.subarray(2, 2 + count * STEP_BYTES))
}

function format(memory: Region | ArrayBuffer, kind: number): Heap {
  const options = optionsFor(kind)
  return Heap.format(
    memory,
    (kind & TRIMS) !== 0 && memory instanceof Region ? { ...options, trimThreshold: 512 } : options
  )
}

function run(state: State, program: Uint8Array): string[] {
  const outcomes: string[] = []
  const steps = new DataView(program.buffer, program.byteOffset, program.length)
  for (let at = 0; at + STEP_BYTES <= program.length; at += STEP_BYTES) {
    const which = steps.getUint8(at + 1)
    const value = steps.getUint32(at + 2, true)
    const [name, call] = calls[steps.getUint8(at) % calls.length] ?? calls[0]
    const place = name === 'overwrite' ? which * 4 * 17 : pointerOf(state, which)
    const stray = takesPointer.has(name) && !state.damaged && !isBlock(state.heap, place)
    const { code, error } = attempt(name, () =>
      call(state, place, name === 'overwrite' ? value | 0 : value)
    )
    // Bytes that look like a header can't be distinguished from one: from here on, anything may be
    // wrong.
    if (stray && (code === undefined || code === 'ERR_OFFHEAP_CORRUPT')) state.damaged = true
    outcomes.push(`${name} ${code ?? 'ok'}`)
    // A heap without free bytes finds no wrong one.
    if (code === 'ERR_OFFHEAP_CORRUPT' && !state.damaged)
      throw new Error(`${name} finds corrupt what nothing wrote over`, { cause: error })
  }
  if (!state.damaged) state.heap.check()
  return outcomes
}
