/**
 * Shared heaps on ordinary memory, with simulated threads: engines that take turns. And folders for
 * heap files.
 */
import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { QUIET } from '../../lib/engine/engine.js'
import type { PlacementName } from '../../lib/placement/placement.js'
import { policyNamed } from '../../lib/placement/policies.js'
import type { System } from '../../lib/sharing/access.js'
import { controlBytesFor, LIVES, LIVES_AT } from '../../lib/sharing/control.js'
import type { SharedEngine } from '../../lib/sharing/engine.js'
import { engineOn, writeShared } from '../../lib/sharing/open.js'
import { type Geometry, headBytes, PATIENCE_WORD } from '../../lib/sharing/superblock.js'

/** Simulated threads don't run while another one sleeps, so no test may depend on that. */
const alone: System = {
  fenced: false,
  reorders: true,
  barrier: () => {},
  sleep: () => {}
}

export interface Memory {
  readonly head: Int32Array
  readonly words: Int32Array
  readonly geometry: Geometry
}

/** A new heap of `arenas` arenas, 64 KiB each by default. */
export function newMemory(
  arenas: number,
  placement: PlacementName,
  slabs: boolean,
  arenaBytes = 65536
): Memory {
  const geometry = { arenas, arenaBytes, controlBytes: controlBytesFor(arenas) }
  const head = new Int32Array(headBytes(geometry.controlBytes) / 4)
  const words = new Int32Array((arenas * arenaBytes) / 4)
  writeShared(head, words, geometry, policyNamed(placement), slabs)
  head[PATIENCE_WORD] = 1
  return { head, words, geometry }
}

export const copyOf = ({ head, words, geometry }: Memory): Memory => ({
  head: head.slice(),
  words: words.slice(),
  geometry
})

/** Attaches a simulated thread. Returns its engine and its token. */
export function attach(
  { head, words, geometry }: Memory,
  system: Partial<System> = {}
): [SharedEngine, number] {
  let index = 0
  while (index < LIVES && Atomics.load(head, LIVES_AT + index) % 2 !== 0) index++
  const life = Atomics.add(head, LIVES_AT + index, 1) + 1
  const token = (life << 8) | index
  return [engineOn(head, words, geometry, token, { ...alone, ...system }, QUIET), token]
}

/** Ends the thread, even in the middle of an operation. */
export function end({ head }: Memory, token: number): void {
  Atomics.add(head, LIVES_AT + (token & (LIVES - 1)), 1)
}

/** The pointers of all used blocks of a heap. */
export function usedIn(engine: SharedEngine): number[] {
  return [...engine.eachBlock()].filter(({ used }) => used).map(({ pointer }) => pointer)
}

/**
 * Creates a folder for heap files. It is on a memory file system if there is one, since tests wait
 * for every sync.
 */
export function newFolder(): string {
  return mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'offheap-files-'))
}
