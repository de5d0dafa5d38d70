/** The table of `--compare`: a row for each recording, then the means. */
import { geometricMean, median, significant, spread } from '#lib/bench/statistics.js'
import { contenderOf, FLOORS } from '../contenders/contenders.js'
import type { Compared } from '../run/compare.js'
import { MANY_FAULTS, type Race } from '../run/race.js'
import { type Grid, LEAST_SAMPLES } from './grids.js'

/** A figure with two places, or a dash. */
function places(value: number): string {
  return Number.isNaN(value) ? '-' : value.toFixed(2)
}

/** The short name of a column. */
function nameOf(id: string): string {
  return id.startsWith('module:') ? contenderOf(id).label : id
}

/** ns and, if there are enough samples, half the distance between the quartiles. */
function figure(race: Race, id: string): string {
  const samples = race.samples(id)
  if (samples.length === 0) return race.error(id) ?? '-'
  const around = samples.length < LEAST_SAMPLES ? '' : ` ±${(spread(samples) * 100).toFixed(0)}%`
  return `${significant(median(samples))}${around}`
}

function meanOf(races: readonly Race[], of: (race: Race) => number): number {
  return geometricMean(races.map(of).filter(value => !Number.isNaN(value)))
}

/** Each contender except the last has its ns, its ratios to the last, and its utilization. */
export function compareGrid({ contenders, races }: Compared): Grid {
  const base = contenders.at(-1) ?? ''
  const others = contenders.slice(0, -1)
  const figures = (id: string, chosen: readonly Race[]): string[] => [
    places(meanOf(chosen, race => race.ratio(id, base))),
    places(meanOf(chosen, race => race.netRatio(id, base))),
    places(meanOf(chosen, race => race.fact(id, 'utilization')))
  ]
  const row = (label: string, race: Race): string[] => [
    race.paysForPages ? `${label} *` : label,
    ...others.flatMap(id => [figure(race, id), ...figures(id, [race])]),
    figure(race, base)
  ]
  const means = (label: string, chosen: readonly Race[]): string[] => [
    label,
    ...others.flatMap(id => [
      places(meanOf(chosen, race => race.median(id))),
      ...figures(id, chosen)
    ]),
    places(meanOf(chosen, race => race.median(base)))
  ]
  const all = [...races.values()]
  const calm = all.filter(race => !race.paysForPages)
  const rows = [...races].map(([label, race]) => row(label, race))
  rows.push(means('geometric mean', all))
  if (calm.length < all.length && calm.length > 0) rows.push(means('without those with *', calm))
  const floor = (id: string) => significant(median(all.map(race => race.median(id))))
  const heads = others.flatMap(id => [nameOf(id), `/ ${nameOf(base)}`, 'net', 'utilization'])
  const head = ['', ...heads, nameOf(base)]
  return {
    title: 'Recorded programs, warm: ns per operation',
    head,
    rows,
    numbers: head.length - 1,
    note:
      `net: without the floors, ${floor(FLOORS.js)} ns of the JavaScript loop and ` +
      `${floor(FLOORS['c++'])} ns of the C++ loop (medians).\n` +
      `*: more than ${MANY_FAULTS} page faults per 1,000 operations of the C library.`
  }
}
