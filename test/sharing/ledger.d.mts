import type { Heap } from '../../lib/index.js'

interface Parts {
  readonly counts: Int32Array
  readonly ledger: Int32Array
}

export const COUNTS: number
export function partsOf(heap: Heap, pointer: number): Parts
export function judge(heap: Heap, parts: Pick<Parts, 'ledger'>): string | number
