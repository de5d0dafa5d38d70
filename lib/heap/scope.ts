/**
 * Scopes: blocks that are freed together. A scope allocates through its heap and keeps a list of
 * its blocks.
 */
import { type InspectOptionsStylized, inspect } from 'node:util'
import type { Pointer } from '../engine/engine.js'
import { OffheapError } from '../errors.js'
import { inspectAs, seal } from '../inspect.js'
import type { BlockReference } from './arguments.js'
import type { TextEncoding } from './text.js'
import type { TypedArrayConstructor, ViewLike, ViewOver } from './views.js'

/** The methods of a heap that a scope uses. */
export interface Source<Memory extends ArrayBufferLike> {
  readonly closed: boolean
  malloc(size: number): Pointer
  calloc(count: number, size: number): Pointer
  alignedAlloc(alignment: number, size: number): Pointer
  realloc(block: BlockReference, size: number): Pointer
  free(block: BlockReference): void
  alloc(length: number): Uint8Array<Memory>
  allocZeroed(length: number): Uint8Array<Memory>
  allocBuffer(length: number): Buffer<Memory>
  allocArray<View>(
    type: TypedArrayConstructor<View, Memory>,
    length: number
  ): ViewOver<View, Memory>
  allocString(text: string, encoding?: TextEncoding): Buffer<Memory>
  resize<View extends ArrayBufferView>(view: View, length: number): ViewLike<View, Memory>
}

/** The internals of a heap that a scope uses. */
export interface Inside {
  /** Converts a reference to the pointer of its used block. Throws like free. */
  used(reference: BlockReference, call: string): Pointer
  /** Identifies the contents of the heap: reset() replaces this object. */
  contents(): object
  /** Waits until none of these blocks is pinned. */
  unpinned(pointers: Iterable<Pointer>): Promise<void>
}

/**
 * Blocks that are freed together, at the end of the scope: `using scope = heap.scope()`. A block
 * allocated through the scope belongs to it until `release`. Each method does what the heap's
 * method of the same name does, and throws the same errors; once the scope has ended, it throws
 * ERR_OFFHEAP_CLOSED.
 */
export class Scope<Memory extends ArrayBufferLike = ArrayBuffer> {
  private readonly heap: Source<Memory>
  private readonly inside: Inside
  private readonly outer: Scope<Memory> | undefined
  private readonly contents: object
  private readonly pointers = new Set<Pointer>()
  private readonly inner = new Set<Scope<Memory>>()
  private readonly state = { closed: false }

  constructor(heap: Source<Memory>, inside: Inside, outer?: Scope<Memory>) {
    this.heap = heap
    this.inside = inside
    this.outer = outer
    this.contents = inside.contents()
    seal(this, 'This scope; it belongs to its heap')
  }

  /** True after the end of the scope, and after close() or reset() of the heap. */
  get closed(): boolean {
    return this.state.closed || this.isGone
  }

  malloc(size: number): Pointer {
    return this.keep(this.open().malloc(size))
  }

  calloc(count: number, size: number): Pointer {
    return this.keep(this.open().calloc(count, size))
  }

  alignedAlloc(alignment: number, size: number): Pointer {
    return this.keep(this.open().alignedAlloc(alignment, size))
  }

  alloc(length: number): Uint8Array<Memory> {
    return this.keepView(this.open().alloc(length))
  }

  allocZeroed(length: number): Uint8Array<Memory> {
    return this.keepView(this.open().allocZeroed(length))
  }

  allocBuffer(length: number): Buffer<Memory> {
    return this.keepView(this.open().allocBuffer(length))
  }

  allocArray<View>(
    type: TypedArrayConstructor<View, Memory>,
    length: number
  ): ViewOver<View, Memory> {
    const view = this.open().allocArray(type, length)
    if (ArrayBuffer.isView(view)) this.keepView(view)
    return view
  }

  allocString(text: string, encoding?: TextEncoding): Buffer<Memory> {
    return this.keepView(this.open().allocString(text, encoding))
  }

  /** Resizes a block, and adopts it if it belonged to another scope or to none. */
  realloc(block: BlockReference, size: number): Pointer {
    const heap = this.open()
    const old = block === 0 ? 0 : this.inside.used(block, 'realloc')
    const pointer = heap.realloc(block, size)
    if (pointer !== 0 || size === 0) this.pointers.delete(old)
    return this.keep(pointer)
  }

  /** Resizes the block of a view, and adopts it if it belonged to another scope or to none. */
  resize<View extends ArrayBufferView>(view: View, length: number): ViewLike<View, Memory> {
    const heap = this.open()
    const old = this.inside.used(view, 'resize')
    const resized = heap.resize(view, length)
    this.pointers.delete(old)
    return this.keepView(resized)
  }

  /** Frees a block before the end of the scope. */
  free(block: BlockReference): void {
    const heap = this.open()
    const pointer = block === 0 ? 0 : this.inside.used(block, 'free')
    heap.free(pointer)
    this.pointers.delete(pointer)
  }

  /** Adopts a block that was allocated elsewhere, and returns it. */
  adopt<Block extends BlockReference>(block: Block): Block {
    this.open()
    this.pointers.add(this.inside.used(block, 'adopt'))
    return block
  }

  /**
   * Removes a block from the scope, and returns it. The block now belongs to the outer scope, or to
   * the caller if there is none. Throws ERR_OFFHEAP_INVALID_POINTER if the block does not belong to
   * this scope.
   */
  release<Block extends BlockReference>(block: Block): Block {
    this.open()
    const pointer = this.inside.used(block, 'release')
    if (!this.pointers.delete(pointer)) {
      throw new OffheapError(
        'ERR_OFFHEAP_INVALID_POINTER',
        `release: the block at byte ${pointer} is not of this scope`
      )
    }
    this.outer?.pointers.add(pointer)
    return block
  }

  /** Returns a nested scope, which ends when this one does, if not before. */
  scope(): Scope<Memory> {
    this.open()
    const inner = new Scope(this.heap, this.inside, this)
    this.inner.add(inner)
    return inner
  }

  /**
   * Ends the scope: frees its blocks and those of its nested scopes, the newest first. A second
   * close does nothing. If a block can't be freed (it is pinned, or was freed elsewhere), the
   * others are freed, then the error is thrown; close may be called again.
   */
  close(): void {
    if (this.isGone) this.pointers.clear()
    this.state.closed = true
    const errors: unknown[] = []
    for (const scope of [...this.inner].reverse()) errors.push(...errorsOf(() => scope.close()))
    for (const pointer of [...this.pointers].reverse()) {
      const [error] = errorsOf(() => this.heap.free(pointer))
      if (error !== undefined) errors.push(error)
      if (!isPinned(error)) this.pointers.delete(pointer)
    }
    if (this.pointers.size + this.inner.size === 0) this.outer?.inner.delete(this)
    if (errors.length > 0) throw errors[0]
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /**
   * Waits until no block of the scope is pinned, then ends it: `await using scope = heap.scope()`.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.inside.unpinned(this.all())
    this.close()
  }

  get [Symbol.toStringTag](): string {
    return 'Scope'
  }

  /** What JSON.stringify and console.log show of a scope: the number of its blocks. */
  toJSON(): { blocks: number; closed: boolean } {
    const { closed } = this
    return { blocks: closed ? 0 : this.pointers.size, closed }
  }

  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    return inspectAs('Scope', this.toJSON(), depth, options)
  }

  // ---- inside -----------------------------------------------------------------------------------

  private open(): Source<Memory> {
    if (this.closed)
      throw new OffheapError('ERR_OFFHEAP_CLOSED', 'This scope has ended, and its blocks are free')
    return this.heap
  }

  /** Were the blocks freed by close() or reset() of the heap? */
  private get isGone(): boolean {
    return this.heap.closed || this.inside.contents() !== this.contents
  }

  /** Adds a new block. A subscriber to an event of its allocation may have ended the scope. */
  private keep(pointer: Pointer): Pointer {
    if (pointer !== 0 && this.closed && !this.isGone) this.heap.free(pointer)
    this.open()
    if (pointer !== 0) this.pointers.add(pointer)
    return pointer
  }

  private keepView<View extends ArrayBufferView>(view: View): View {
    this.keep(view.byteOffset)
    return view
  }

  private *all(): Generator<Pointer, void, undefined> {
    yield* this.pointers
    for (const scope of this.inner) yield* scope.all()
  }
}

const isPinned = (error: unknown): boolean =>
  error instanceof OffheapError && error.code === 'ERR_OFFHEAP_PINNED'

/** Runs the action. Returns what it throws, in an array, or an empty array. */
function errorsOf(action: () => void): unknown[] {
  try {
    action()
    return []
  } catch (error) {
    return [error]
  }
}
