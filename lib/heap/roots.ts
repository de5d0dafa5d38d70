/** The named roots of a heap in a file. */
import { type InspectOptionsStylized, inspect } from 'node:util'
import type { Pointer } from '../engine/engine.js'
import { OffheapError } from '../errors.js'
import { inspectAs } from '../inspect.js'

/** Where the names are stored: see lib/sharing/roots.ts. */
interface Table {
  get(name: string): number | undefined
  set(name: string, pointer: number): void
  delete(name: string): boolean
  keys(): string[]
}

/**
 * Named pointers, stored in the file, so that whoever opens it finds the data. A file has at most
 * 64.
 */
export class Roots {
  private readonly table: () => Table
  private readonly used: (pointer: Pointer) => Pointer

  /** `table` throws if the heap is closed, `used` if no used block begins at the pointer. */
  constructor(table: () => Table, used: (pointer: Pointer) => Pointer) {
    this.table = table
    this.used = used
  }

  /**
   * Returns the pointer with this name, which may be 0 (NULL); undefined if there is no such root.
   * A name has 1 to 64 bytes in UTF-8. Throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE,
   * ERR_OFFHEAP_CLOSED.
   */
  get(name: string): Pointer | undefined {
    return this.table().get(name)
  }

  /**
   * Sets the root with this name to 0 or to a used block. Creates it if needed. Throws like get and
   * like free, and ERR_OFFHEAP_OUT_OF_MEMORY if there are 64 other roots.
   */
  set(name: string, pointer: Pointer): void {
    const used = pointer === 0 ? 0 : this.used(pointer)
    this.table().set(name, used)
  }

  /**
   * Deletes the root with this name, and returns whether it existed. Does not free its block.
   * Throws like get.
   */
  delete(name: string): boolean {
    return this.table().delete(name)
  }

  /** Returns the names of all roots, in no particular order. Throws ERR_OFFHEAP_CLOSED. */
  keys(): string[] {
    return this.table().keys()
  }

  get [Symbol.toStringTag](): string {
    return 'Roots'
  }

  /** What JSON.stringify and console.log show: each name with its pointer, none if closed. */
  toJSON(): Record<string, Pointer> {
    try {
      return Object.fromEntries(this.keys().map(name => [name, this.get(name) ?? 0]))
    } catch (error) {
      if (!(error instanceof OffheapError)) throw error
      return {}
    }
  }

  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    return inspectAs('Roots', this.toJSON(), depth, options)
  }
}
