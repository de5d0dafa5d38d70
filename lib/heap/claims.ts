/**
 * Claims on used blocks: pins, which keep a block from being freed, and owners, which free it when
 * they are garbage-collected. They belong to one Heap object and are not stored in the memory.
 *
 * While there are claims, the engine asks before it frees or moves a block (`Watch`), and the fast
 * path of free is off. A heap without claims pays nothing.
 */
import { type InspectOptionsStylized, inspect } from 'node:util'
import type { Engine, Pointer, Watch } from '../engine/engine.js'
import { OffheapError } from '../errors.js'
import { inspectAs } from '../inspect.js'

/**
 * A pin on a block, returned by `heap.pin`. Until it is released, the block can't be freed, moved
 * or resized, and its heap can't be reset or closed.
 */
export interface Pin extends Disposable {
  /** The pinned block. */
  readonly pointer: Pointer
  /** Releases the pin. A second call does nothing. */
  unpin(): void
}

function pinnedError(pointer: Pointer): OffheapError {
  return new OffheapError(
    'ERR_OFFHEAP_PINNED',
    `The block at byte ${pointer} is pinned: it is in use until its pin is released. Wait ` +
      'for what uses it, then unpin it'
  )
}

/** What all pins have in common. */
const PIN = {
  [Symbol.toStringTag]: 'Pin',
  [inspect.custom](this: Pin, depth: number, options: InspectOptionsStylized): string {
    return inspectAs('Pin', { pointer: this.pointer }, depth, options)
  }
}

export class Claims implements Watch {
  private readonly engine: Engine
  /** The number of pins of each pinned block. */
  private readonly pins = new Map<Pointer, number>()
  /** Each owned block, with the token that the registry has for its owner. */
  private readonly owners = new Map<Pointer, object>()
  private readonly registry: FinalizationRegistry<[Pointer, object]>
  private waiting: (() => void)[] = []

  /** `free` is called with a used block whose owner was collected. */
  constructor(engine: Engine, free: (pointer: Pointer) => void) {
    this.engine = engine
    this.registry = new FinalizationRegistry(async ([pointer, token]) => {
      await this.unpinned([pointer])
      if (this.owners.get(pointer) === token) free(pointer)
    })
  }

  // ---- called by the engine ---------------------------------------------------------------------

  mayChange(pointer: Pointer): void {
    if (this.pins.has(pointer)) throw pinnedError(pointer)
  }

  freed(pointer: Pointer): void {
    this.disown(pointer)
  }

  // ---- pins -------------------------------------------------------------------------------------

  /** `reference` is the caller's view or pointer; the pin keeps it from being garbage-collected. */
  pin(pointer: Pointer, reference: unknown): Pin {
    this.pins.set(pointer, (this.pins.get(pointer) ?? 0) + 1)
    this.watch()
    let held = reference
    const unpin = (): void => {
      if (held !== undefined) this.unpin(pointer)
      held = undefined
    }
    return Object.freeze({ ...PIN, pointer, unpin, [Symbol.dispose]: unpin })
  }

  private unpin(pointer: Pointer): void {
    const count = this.pins.get(pointer) ?? 1
    if (count > 1) this.pins.set(pointer, count - 1)
    else this.pins.delete(pointer)
    this.watch()
    if (count > 1) return
    const { waiting } = this
    this.waiting = []
    for (const resume of waiting) resume()
  }

  /** Throws ERR_OFFHEAP_PINNED if any block is pinned. */
  mayForget(): void {
    const [pointer] = this.pins.keys()
    if (pointer !== undefined) throw pinnedError(pointer)
  }

  /** Waits until none of these blocks is pinned. Default: all blocks. */
  async unpinned(pointers?: Iterable<Pointer>): Promise<void> {
    const among = pointers === undefined ? undefined : [...pointers]
    const isBusy = (): boolean =>
      among === undefined ? this.pins.size > 0 : among.some(pointer => this.pins.has(pointer))
    while (isBusy()) await new Promise<void>(resolve => this.waiting.push(resolve))
  }

  // ---- owners -----------------------------------------------------------------------------------

  /** Frees the block when `owner` is collected. `owner` replaces any earlier owner. */
  own(pointer: Pointer, owner: object): void {
    this.disown(pointer)
    const token = {}
    this.owners.set(pointer, token)
    this.registry.register(owner, [pointer, token], token)
    this.watch()
  }

  isOwned(pointer: Pointer): boolean {
    return this.owners.has(pointer)
  }

  disown(pointer: Pointer): void {
    const token = this.owners.get(pointer)
    if (token === undefined) return
    this.owners.delete(pointer)
    this.registry.unregister(token)
    this.watch()
  }

  /** The blocks that have an owner. */
  owned(): Pointer[] {
    return [...this.owners.keys()]
  }

  private watch(): void {
    this.engine.watch(this.pins.size + this.owners.size > 0 ? this : undefined)
  }
}
