/** The named roots of a heap in a file. */
import type { Pointer } from '../engine/engine.js'

/** What the names are kept in: see lib/sharing/roots.ts. */
interface Table {
  get(name: string): number | undefined
  set(name: string, pointer: number): void
  delete(name: string): boolean
  keys(): string[]
}

/**
 * Pointers that are kept in the file by name, so that whoever opens it finds the data. There are at
 * most 64.
 */
export class Roots {
  private readonly table: () => Table
  private readonly used: (pointer: Pointer) => Pointer

  /** `table` throws when the heap is closed, and `used` when no used block begins at a pointer. */
  constructor(table: () => Table, used: (pointer: Pointer) => Pointer) {
    this.table = table
    this.used = used
  }

  /**
   * Returns the pointer of that name, 0 (NULL) if it is one; undefined when there is no root of
   * that name. A name has 1 to 64 bytes in UTF-8. Throws ERR_INVALID_ARG_TYPE,
   * ERR_INVALID_ARG_VALUE, ERR_OFFHEAP_CLOSED.
   */
  get(name: string): Pointer | undefined {
    return this.table().get(name)
  }

  /**
   * Sets the root of that name to 0 or to a used block, whether there was one or not. Throws like
   * get and like free, and ERR_OFFHEAP_OUT_OF_MEMORY when there are 64 other roots.
   */
  set(name: string, pointer: Pointer): void {
    const used = pointer === 0 ? 0 : this.used(pointer)
    this.table().set(name, used)
  }

  /**
   * Deletes the root of that name, and returns whether there was one. Its block stays. Throws like
   * get.
   */
  delete(name: string): boolean {
    return this.table().delete(name)
  }

  /** Returns the names of all roots, in no particular order. Throws ERR_OFFHEAP_CLOSED. */
  keys(): string[] {
    return this.table().keys()
  }
}
