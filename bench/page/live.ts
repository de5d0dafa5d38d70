/** Is it faster than what I use? Random churn, by the number of live blocks. */
import { spread } from '#lib/bench/statistics.js'
import { contenderOf } from '../contenders/contenders.js'
import type { Race } from '../run/race.js'
import { race, type Settings } from '../run/settings.js'
import { kept, type Row, type Series } from './series.js'

const LIVE = [1e2, 1e3, 1e4, 1e5, 1e6]
const QUICK = [1e2, 1e4]

const CONTENDERS = [
  'segregated-fit',
  'first-fit',
  'segregated-fit+views',
  'Buffer.alloc',
  'dlmalloc-wasm',
  'tlsf-wasm',
  'glibc',
  'mimalloc',
  'jemalloc',
  'glibc-call',
  'floor-js',
  'floor-c++'
]

export const PICTURED = [
  'segregated-fit',
  'first-fit',
  'segregated-fit+views',
  'Buffer.alloc',
  'dlmalloc-wasm',
  'glibc'
]

export async function measureLive(settings: Settings, quick: boolean): Promise<Series> {
  const races: Race[] = []
  const counts = quick ? QUICK : LIVE
  const contenders = quick ? PICTURED : CONTENDERS
  for (const live of counts) {
    const ids = contenders.filter(id => contenderOf(id).maxLive >= live)
    races.push(await race(ids, { kind: 'churn', live, least: 1, largest: 512 }, settings))
  }
  const rows = contenders.filter(settings.has).map((id): Row => {
    return {
      id,
      ns: races.map(one => kept(one.median(id))),
      spread: races.map(one => kept(spread(one.samples(id)))),
      times: races.map(one => kept(one.ratio('Buffer.alloc', id)))
    }
  })
  const x = counts.map(value => ({ value, label: value.toLocaleString('en') }))
  return { x, samples: settings.rounds, rows }
}
