/** The C++ side of the benchmark: see native/bench.cc. */
import { ADDON, require } from '../paths.js'
import type { Allocator, Columns } from '../work/replay.js'
import { contenderOf, FLOORS } from './contenders.js'

export interface Native extends Allocator<number> {
  /** Makes the loops call a library that LD_PRELOAD loaded. Returns false if it was not loaded. */
  useLibrary(file: string): boolean
  /** Makes the loops call functions that do nothing. */
  allocateNothing(): void
  /** Whether the functions below measure the CPU time of the thread instead of elapsed time. */
  useCpuTime(use: boolean): void
  /** CPU time of the thread, in ns. */
  cpuTime(): number
  /** Page faults of the thread until now. */
  faults(): number
  prepare(slots: number): void
  replay(...columns: [...NativeColumns, from: number, to: number]): number
  verify(...columns: [...NativeColumns, length: number]): string
  freeSlots(slots: Int32Array): void
  pairs(size: number, count: number, cleared: boolean): number
  touch(size: number, count: number): number
  release(): void
  bytes(pointer: number, size: number): ArrayBuffer
}

type NativeColumns = [kinds: Uint8Array, slots: Int32Array, sizes: Int32Array, extras: Int32Array]

export function nativeColumns(columns: Columns): NativeColumns {
  return [columns.kinds, columns.slots, columns.sizes, columns.extras]
}

export function openNative(): Native {
  return require(ADDON)
}

/** The addon, set up for the contender. Throws if its library was not loaded into this process. */
export function openNativeFor(id: string): Native {
  const native = openNative()
  const { preload } = contenderOf(id)
  if (preload !== undefined && !native.useLibrary(preload)) {
    throw new Error(`LD_PRELOAD=${preload} had no effect`)
  }
  if (id === FLOORS['c++']) native.allocateNothing()
  return native
}

/** The environment of a process for this contender. */
export function environmentFor(id: string): NodeJS.ProcessEnv {
  const { preload } = contenderOf(id)
  return preload === undefined ? process.env : { ...process.env, LD_PRELOAD: preload }
}
