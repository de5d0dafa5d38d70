/** Is it faster for my sizes? What `offheap bench` measures, for many sizes. */
import { BASE, type ContenderName } from '#lib/bench/contenders.js'
import { DEFAULT_RACE, type Figure, race } from '#lib/bench/race.js'
import { humanBytes } from '#lib/sizes.js'
import type { Settings } from '../run/settings.js'
import { kept, type Row, type Series } from './series.js'

const SIZES = Array.from({ length: 11 }, (_, step) => 16 * 4 ** step)
const QUICK = [64, 65_536]

/** The number of live blocks: fewer for large ones, so that all fit into memory. */
const LIVE = 1000
const LIVE_BYTES = 2 ** 26

/** These return Buffers; the first of them is also measured with pointers. */
const CONTENDERS: readonly ContenderName[] = [
  'segregated-fit',
  'first-fit',
  'Buffer.allocUnsafe',
  'Buffer.alloc',
  'new Uint8Array'
]

/** By the id of the row: the contender, and what it returns. */
const ROWS = [
  ['segregated-fit', 'segregated-fit', 'pointer'],
  ['segregated-fit+views', 'segregated-fit', 'buffer'],
  ['first-fit+views', 'first-fit', 'buffer'],
  ['Buffer.allocUnsafe', 'Buffer.allocUnsafe', 'buffer'],
  ['Buffer.alloc', 'Buffer.alloc', 'buffer'],
  ['new Uint8Array', 'new Uint8Array', 'buffer']
] as const

export const PICTURED: readonly string[] = ROWS.map(([id]) => id)

export async function measureSizes(
  settings: Settings,
  quick: boolean,
  onSize: (label: string) => void
): Promise<Series> {
  const bySize: { readonly buffer: readonly Figure[]; readonly pointer: readonly Figure[] }[] = []
  const sizes = quick ? QUICK : SIZES
  for (const size of sizes) {
    const work = { size, live: Math.max(1, Math.min(LIVE, LIVE_BYTES / size)), cleared: false }
    const options = { ...DEFAULT_RACE, rounds: settings.rounds, node: settings.node }
    const buffer = await race(CONTENDERS, { ...work, as: 'buffer' }, options)
    const pointer = await race(['segregated-fit', BASE], { ...work, as: 'pointer' }, options)
    bySize.push({ buffer, pointer })
    onSize(humanBytes(size))
  }
  const figures = (contender: ContenderName, as: 'buffer' | 'pointer') =>
    bySize.map(one => one[as].find(figure => figure.contender === contender))
  const rows = ROWS.map(([id, contender, as]): Row => {
    const ofRow = figures(contender, as)
    return {
      id,
      ns: ofRow.map(figure => kept(figure?.ns ?? Number.NaN)),
      spread: ofRow.map(figure => kept(figure?.spread ?? Number.NaN)),
      times: ofRow.map(figure => kept(figure?.timesAsFast ?? Number.NaN))
    }
  })
  // A contender that failed has none.
  const counts = bySize.flatMap(one => one.buffer.map(figure => figure.samples.length))
  const samples = Math.min(...counts.filter(count => count > 0))
  return { x: sizes.map(value => ({ value, label: humanBytes(value) })), samples, rows }
}
