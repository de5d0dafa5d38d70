/** Runs a part of a plan, one case after another, and collects the measurements. */
import { contenderOf } from '../contenders/contenders.js'
import type { Asked, Measurement } from '../process/entry.js'
import type { Case, Part } from './plan.js'
import { measureAll, type Settings } from './settings.js'

export interface CaseResult {
  readonly label: string
  readonly measurements: readonly Measurement[]
}

export interface PartResult {
  readonly name: string
  readonly title: string
  /** Our configurations, which the others are compared with. */
  readonly ours: readonly string[]
  readonly facts: readonly string[]
  readonly cases: readonly CaseResult[]
}

function askedOf({ contenders }: Part, { work, live }: Case): Asked[] {
  return contenders
    .filter(id => contenderOf(id).maxLive >= live)
    .map(contender => ({ contender, work }))
}

function roundsOf(part: Part, rounds: number): number {
  return part.exact ? 1 : rounds
}

/** The number of calls of `onStep`. */
export function countSteps(part: Part, rounds: number): number {
  const perEntry = part.facts.length > 0 ? roundsOf(part, rounds) : rounds + 1
  return part.cases.reduce((sum, one) => sum + askedOf(part, one).length * perEntry, 0)
}

export async function runPart(part: Part, settings: Settings): Promise<PartResult> {
  const cases: CaseResult[] = []
  const once = part.facts.length > 0
  for (const one of part.cases) {
    const rounds = roundsOf(part, settings.rounds)
    const measurements = await measureAll(askedOf(part, one), { ...settings, rounds }, once)
    cases.push({ label: one.label, measurements })
  }
  const { name, title, ours, facts } = part
  return { name, title, ours, facts, cases }
}
