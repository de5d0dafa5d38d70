/**
 * The simplest correct allocator: it never reuses memory. Tests break it in one place and expect
 * that to be detected.
 */

import type { ReplayTarget } from '../../lib/trace/verify-target.js'

export class Bump implements ReplayTarget {
  readonly u8: Uint8Array
  top = 8
  protected readonly sizes = new Map<number, number>()

  constructor(size = 65_536) {
    this.u8 = new Uint8Array(size)
  }

  malloc(size: number): number {
    return this.alignedAlloc(8, size)
  }

  calloc(count: number, size: number): number {
    return this.malloc(count * size)
  }

  realloc(pointer: number, size: number): number {
    const to = this.malloc(size)
    const from = this.sizes.get(pointer) ?? 0
    if (to !== 0) this.u8.copyWithin(to, pointer, pointer + Math.min(from, size))
    return to
  }

  free(pointer: number): void {
    this.sizes.delete(pointer)
  }

  alignedAlloc(alignment: number, size: number): number {
    const step = Math.max(alignment, 8)
    const pointer = Math.ceil(this.top / step) * step
    const end = pointer + Math.ceil(Math.max(size, 1) / 8) * 8
    if (end > this.u8.length) return 0
    this.top = end
    this.sizes.set(pointer, size)
    return pointer
  }

  check(): void {}
}
