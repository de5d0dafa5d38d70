/** Runs the parts of a plan, one case after another, and keeps what was measured. */
import { contenderOf } from './contenders.js'
import type { Entry, Measurement } from './entry.js'
import { type MeasureOptions, measure, measureOnce } from './measure.js'
import type { Case, Part } from './plan.js'

export interface CaseResult {
  readonly label: string
  readonly measurements: readonly Measurement[]
}

export interface PartResult {
  readonly name: string
  readonly title: string
  /** Whose configurations the others are compared with. */
  readonly ours: readonly string[]
  readonly facts: readonly string[]
  readonly cases: readonly CaseResult[]
}

function entriesOf(part: Part, { work, live }: Case, warmOperations: number): Entry[] {
  return part.contenders
    .filter(id => contenderOf(id).maxLive >= live)
    .map(contender => ({ contender, work, warmOperations, once: part.facts.length > 0 }))
}

/** How many times `onStep` will be called. */
export function countSteps(parts: readonly Part[], rounds: number): number {
  let steps = 0
  for (const part of parts) {
    for (const one of part.cases)
      steps += entriesOf(part, one, 0).length * (part.facts.length > 0 ? rounds : rounds + 1)
  }
  return steps
}

export async function runPart(part: Part, warmOperations: number, options: MeasureOptions): Promise<PartResult> {
  const cases: CaseResult[] = []
  for (const one of part.cases) {
    const entries = entriesOf(part, one, warmOperations)
    const measurements = await (part.facts.length > 0 ? measureOnce : measure)(entries, options)
    cases.push({ label: one.label, measurements })
  }
  const { name, title, ours, facts } = part
  return { name, title, ours, facts, cases }
}
