/**
 * Replays columns once, untimed, and fills and compares every payload: a contender that loses
 * bytes, overlaps blocks or misaligns them is not measured.
 */
import { NULL_ID, type Trace } from '#lib/trace/trace.js'
import { VerifiedReplay } from '#lib/trace/verify.js'
import { inView, type Verifiable } from '#lib/trace/verify-target.js'
import type { Subject } from '../contenders/subject.js'
import type { Columns } from '../work/replay.js'

/** The part of a contender that the verification uses. */
export type Contender<P> = Pick<
  Subject<P>,
  'allocator' | 'none' | 'bytes' | 'alignment' | 'aligns' | 'check'
>

/**
 * Throws an `OffheapError` that names the first operation whose result was wrong. Leaves nothing
 * allocated.
 */
export function verify<P>(contender: Contender<P>, columns: Columns): void {
  const replay = new VerifiedReplay(traceOf(columns), targetOf(contender))
  try {
    replay.run()
    replay.release()
  } catch (error) {
    throw new Error(`${columns.name}, ${error instanceof Error ? error.message : String(error)}`, {
      cause: error
    })
  }
}

function targetOf<P>({
  allocator,
  none,
  bytes,
  alignment,
  aligns,
  check
}: Contender<P>): Verifiable<P> {
  return {
    calls: allocator,
    none,
    alignment,
    aligns,
    size: undefined,
    addressOf: pointer => (typeof pointer === 'number' ? pointer : undefined),
    placeOf(pointer, size) {
      const view = bytes(pointer, size)
      return view === undefined ? undefined : inView(view)
    },
    ...(check === undefined ? {} : { check })
  }
}

/** Slots are ids, except for the last, which is NULL. */
function traceOf({ name, kinds, slots, sizes, extras, slotCount }: Columns): Trace {
  return {
    name,
    length: kinds.length,
    ids: slotCount,
    kinds,
    idOf: Int32Array.from(slots, slot => (slot === slotCount - 1 ? NULL_ID : slot)),
    sizes: Float64Array.from(sizes),
    extras: Float64Array.from(extras),
    lines: new Uint32Array(kinds.length)
  }
}
