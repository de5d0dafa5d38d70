/** Grades a submission: compiles it, has workers run it on every trace, and adds up the points. */

import { existsSync } from 'node:fs'
import { OffheapError } from '../errors.js'
import { readTrace } from '../trace/read.js'
import type { Trace } from '../trace/trace.js'
import type { LabConfig, Step } from './config.js'
import { type Fault, faultOf } from './fault.js'
import type { BuiltIn } from './job.js'
import { type TimeLimits, timeLimits } from './limits.js'
import { compileSubmission, type Submission } from './load.js'
import { type Points, performanceOf, pointsOf, type Scales } from './score.js'
import { supervise } from './supervise.js'
import { Workers } from './workers.js'

export interface GradeOptions {
  /** The student's file. */
  readonly submission: string
  readonly config: LabConfig
  /** Paths of `.rep` or `.rep.gz` files. */
  readonly traces: readonly string[]
  /** Grade by the scales of this step; else by those of the whole lab. */
  readonly step?: Step
  /** Look at the whole heap after every operation. */
  readonly checkEvery?: boolean
  /** Seconds for each trace; the configuration's by default. */
  readonly timeout?: number
  /** Default: those that follow from `timeout`. */
  readonly limits?: TimeLimits
  /** Told what is being done, and how much of the work, 0 … 1. */
  readonly progress?: (share: number, what: string) => void
  /** Hears what the submission prints. */
  readonly onOutput?: (text: string) => void
}

export interface TraceResult {
  readonly trace: string
  readonly operations: number
  readonly fault?: Fault
  /** Peak payload / bytes of the heap. */
  readonly utilization?: number
  /** As a share of the reference allocator's. */
  readonly throughput?: number
  readonly nsPerOperation?: number
  /** 0 … 1; undefined for traces that are too short to be measured. */
  readonly performance?: number
  /** The built-in heap on the same trace, in the steps that ask for it. */
  readonly builtIn?: BuiltIn
}

export interface Grade {
  readonly submission: string
  readonly step?: Step
  /** What makes the whole submission invalid, whatever the traces say. */
  readonly fault?: Fault
  readonly results: readonly TraceResult[]
  /** What the student should know although it costs no points. */
  readonly notes: readonly string[]
  /** The traces that could not be read, and why: the grade is without them. */
  readonly refused: readonly string[]
  readonly points: Points
  /** Absolute paths of the submission's files. */
  readonly sources: readonly string[]
  /** How long the grading took. */
  readonly seconds: number
}

const MIB = 2 ** 20
/** The whole heap is looked at this many times in a trace… */
const CHECKS = 50
/** …and after every operation when the trace is no longer than this. */
const TINY = 500

/** Whatever the submission does is in the grade, and which traces can't be read; rejects when none can. */
export async function grade(options: GradeOptions): Promise<Grade> {
  const begin = performance.now()
  const { submission: path, config, step, progress = () => {} } = options
  const base = { submission: path, ...(step === undefined ? {} : { step }) }
  const nothing = pointsOf(0, 0, [], config)
  const failed = (fault: Fault): Grade => ({
    ...base,
    fault,
    results: [],
    notes: [],
    refused: [],
    points: nothing,
    sources: [],
    seconds: (performance.now() - begin) / 1000
  })
  if (!existsSync(path)) return failed(faultOf('load', `there is no file ${path}`))
  const limits = {
    time: options.limits ?? timeLimits(options.timeout ?? config.timeout),
    javascript: config.javascriptMemory * MIB,
    onOutput: options.onOutput ?? (() => {})
  }
  const workers = new Workers(limits)
  let submission: Submission | undefined
  try {
    const compiled = await compileSubmission(path)
    if (!('url' in compiled)) return failed(compiled)
    submission = compiled
    const results: TraceResult[] = []
    const notes: string[] = []
    const refused: string[] = []
    for (const [index, path] of options.traces.entries()) {
      progress(index / (options.traces.length + 1), path)
      const trace = await readTrace(path).catch((error: unknown) => {
        if (!(error instanceof OffheapError) || (results.length === 0 && index === options.traces.length - 1))
          throw error
        refused.push(error.message)
      })
      if (trace === undefined) continue
      const result = await gradeTrace(trace, submission, options, workers)
      results.push(result)
      // A submission that can't even be loaded fails everywhere alike.
      if (result.fault?.kind === 'load') return { ...failed(result.fault), sources: submission.sources }
    }
    progress(options.traces.length / (options.traces.length + 1), 'state outside the memory')
    // An allocator that works nowhere has no points to lose, and may do anything.
    const works = results.some(result => result.fault === undefined)
    const state = works ? await findStateOutside(submission, config, workers) : undefined
    const isFatal = state !== undefined && config.stateOutside === 'fault'
    if (state !== undefined && !isFatal) notes.push(`${state.what}. ${state.details.join(' ')}`)
    return {
      ...base,
      ...(isFatal ? { fault: state } : {}),
      results,
      notes: [...notes, ...refused.map(message => `A trace was left out of the grade. ${message}`)],
      refused,
      points: isFatal ? nothing : pointsOfResults(results, config),
      sources: submission.sources,
      seconds: (performance.now() - begin) / 1000
    }
  } finally {
    await workers.close()
    submission?.remove()
  }
}

async function gradeTrace(
  trace: Trace,
  submission: Submission,
  options: GradeOptions,
  workers: Workers
): Promise<TraceResult> {
  const { config, checkEvery = false } = options
  const isMeasured = trace.length >= config.minimumOperations
  const outcome = await supervise(
    {
      task: 'trace',
      url: submission.url,
      sources: submission.sources,
      memory: config.memory * MIB,
      trace,
      alignment: config.alignment,
      checkInterval: checkEvery || trace.length <= TINY ? 1 : Math.ceil(trace.length / CHECKS),
      pair: config.stateOutside === 'fault',
      timing: isMeasured ? config.timing * 1000 : 0,
      builtIn: options.step?.builtIn === true
    },
    workers
  )
  const result = { trace: trace.name, operations: trace.length }
  if (outcome.fault !== undefined) {
    return { ...result, fault: outcome.fault, ...(isMeasured ? { performance: 0 } : {}) }
  }
  const utilization = outcome.heap === 0 ? 0 : outcome.peakPayload / outcome.heap
  if (outcome.timing === undefined) return { ...result, utilization }
  const { ratio: throughput, nsPerOperation } = outcome.timing
  const scales: Scales = options.step ?? config
  return {
    ...result,
    utilization,
    throughput,
    nsPerOperation,
    performance: performanceOf(utilization, throughput, scales, config),
    ...(outcome.timing.builtIn === undefined ? {} : { builtIn: outcome.timing.builtIn })
  }
}

async function findStateOutside(
  submission: Submission,
  config: LabConfig,
  workers: Workers
): Promise<Fault | undefined> {
  const { url, sources } = submission
  const { fault } = await supervise({ task: 'state', url, sources, memory: config.memory * MIB }, workers)
  return fault?.kind === 'state-outside' ? fault : undefined
}

function pointsOfResults(results: readonly TraceResult[], config: LabConfig): Points {
  const valid = results.filter(result => result.fault === undefined).length
  const performances = results.flatMap(result => (result.performance === undefined ? [] : [result.performance]))
  return pointsOf(valid, results.length, performances, config)
}
