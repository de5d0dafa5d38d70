/** Grades a submission: compiles it, judges it on every trace, and adds up the points. */

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { OffheapError } from '../../errors.js'
import { readTrace } from '../../trace/read.js'
import { peaksOf, type Trace, type Weight } from '../../trace/trace.js'
import type { BuiltIn, Case, Cost } from '../judge/job.js'
import { Judge } from '../judge/judge.js'
import { type TimeLimits, timeLimits } from '../judge/limits.js'
import { type Fault, faultOf } from '../submission/fault.js'
import { compileSubmission, type Submission } from './compile.js'
import type { LabConfig, Step } from './config.js'
import { onInterrupt } from './interrupt.js'
import {
  exponentsOf,
  type Measures,
  type Points,
  performanceOf,
  pointsOf,
  type Scales,
  scalesOf
} from './score.js'
import { typeNotes } from './types.js'

export interface GradeOptions {
  /** The path of the student's file. */
  readonly submission: string
  readonly config: LabConfig
  /** The paths of `.rep` or `.rep.gz` files. */
  readonly traces: readonly string[]
  /** The step whose scales apply. Default: those of the whole lab. */
  readonly step?: Step
  /** Whether to check the whole heap after every operation. */
  readonly checkEvery?: boolean
  /** Whether to look for state outside the memory. Default: true. */
  readonly state?: boolean
  /** Whether to report type errors. */
  readonly types?: boolean
  /** Seconds of processor time for each trace. Default: the configuration's. */
  readonly timeout?: number
  /** The time limits. Default: derived from `timeout`. */
  readonly limits?: TimeLimits
  /** Called with the share of the work done, 0 … 1, and the current task. */
  readonly progress?: (share: number, what: string) => void
  /** Called with what the submission prints. */
  readonly onOutput?: (text: string) => void
}

export interface TraceResult {
  readonly trace: string
  readonly operations: number
  /** The weight in the header of the trace; see `Trace`. */
  readonly weight?: Weight
  readonly fault?: Fault
  /** Peak payload / bytes of the heap. */
  readonly utilization?: number
  /** The throughput, as a share of the reference allocator's. */
  readonly throughput?: number
  readonly nsPerOperation?: number
  /** Whether the best rounds agreed. If not, the machine was too busy. */
  readonly settled?: boolean
  /** The words read and written, which are the same in every run. */
  readonly cost?: Cost
  /** The performance, 0 … 1; undefined for traces that are not measured. */
  readonly performance?: number
  /** The figures of the built-in heap, in steps that compare with it. */
  readonly builtIn?: Comparison
}

/** Figures of the built-in heap. Both performances are by processor time. */
export interface Comparison extends BuiltIn {
  readonly performance: number
  /** The performance of the submission. */
  readonly ownPerformance: number
}

/** How the score is computed. */
export interface Scoring {
  /** Returns the scales of a trace; without a name, the general ones. */
  readonly scales: (trace?: string) => Scales
  readonly weights: Measures
  readonly throughputBy: 'time' | 'cost'
  /** The maximum of points for performance. */
  readonly performancePoints: number
}

export interface Grade {
  readonly submission: string
  readonly step?: Step
  /** Undefined if nothing was graded. */
  readonly scoring?: Scoring
  /** The fault that makes the whole submission invalid, if there is one. */
  readonly fault?: Fault
  readonly results: readonly TraceResult[]
  /** Notes for the student that cost no points. */
  readonly notes: readonly string[]
  /** Why some traces could not be read. They are not part of the grade. */
  readonly refused: readonly string[]
  /** Whether the machine was too busy to time every trace. */
  readonly unsettled: boolean
  readonly points: Points
  /** The absolute paths of the submission's files. */
  readonly sources: readonly string[]
  /** The duration of the grading. */
  readonly seconds: number
}

const MIB = 2 ** 20
const REFERENCE = fileURLToPath(new URL('../submission/reference.js', import.meta.url))
/** The number of checks of the whole heap in a trace… */
const CHECKS = 50
/** …except in traces of up to this many operations, which are checked after each. */
const TINY = 500

/**
 * Grades a submission. The result describes all faults, and the traces that can't be read. Rejects
 * if no trace can be read.
 * @throws OffheapError `ERR_OFFHEAP_UNSUPPORTED` on Windows
 */
export async function grade(options: GradeOptions): Promise<Grade> {
  if (process.platform === 'win32') {
    throw new OffheapError(
      'ERR_OFFHEAP_UNSUPPORTED',
      'grading needs Linux or macOS; this is Windows. A submission runs in a process that can ' +
        'only compute, and shares memory with it; neither works on Windows. Grade in the Windows ' +
        'Subsystem for Linux: wsl --install'
    )
  }
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
    unsettled: false,
    points: nothing,
    sources: [],
    seconds: (performance.now() - begin) / 1000
  })
  if (!existsSync(path)) return failed(faultOf('load', `there is no file ${path}`))
  // Read all traces before the submission's first line runs.
  const { traces, refused } = await readAll(options)
  const compiled = await compileSubmission(path, 'script')
  if (!('path' in compiled)) return failed(compiled)
  const reference = await compileSubmission(REFERENCE, 'script')
  if (!('path' in reference)) throw new Error(reference.what)
  const judge = new Judge(
    caseOf(options, compiled, reference, traces),
    options.onOutput ?? (() => {})
  )
  const stayInterruptible = onInterrupt(() => judge.killAll())
  try {
    const results: TraceResult[] = []
    const notes: string[] = []
    const types = options.types === true ? typeNotes(compiled.sources) : []
    for (const [index, trace] of traces.entries()) {
      progress(index / (traces.length + 1), trace.name)
      // Explain only the first defect: the others usually have the same cause.
      const isFirst = results.every(result => result.fault === undefined)
      const result = await gradeTrace(trace, index, isFirst, options, judge)
      results.push(result)
      // A submission that can't be loaded fails on every trace.
      if (result.fault?.kind === 'load')
        return { ...failed(result.fault), sources: compiled.sources }
    }
    progress(traces.length / (traces.length + 1), 'state outside the memory')
    // An allocator that is valid nowhere has no points to lose.
    const works = options.state !== false && results.some(result => result.fault === undefined)
    const { fault: state } = works ? await judge.judge({ task: 'state' }) : {}
    const isFatal = state !== undefined && config.stateOutside === 'fault'
    if (state !== undefined && !isFatal) notes.push(`${state.what}. ${state.details.join(' ')}`)
    const unsettled =
      config.throughputBy === 'time' ? results.filter(result => result.settled === false) : []
    if (unsettled.length > 0) {
      const names = unsettled.map(result => result.trace).join(', ')
      notes.push(
        `The machine was too busy to time ${names}: the best rounds did not agree. Grade ` +
          'again, or set "throughput" to "cost" in lab.jsonc.'
      )
    }
    notes.push(...(await types))
    return {
      ...base,
      ...(isFatal ? { fault: state } : {}),
      results,
      scoring: {
        scales: trace => scalesOf(step ?? config, config.throughputBy, trace),
        weights: config.weights,
        throughputBy: config.throughputBy,
        performancePoints: config.points.performance
      },
      notes: [...notes, ...refused.map(message => `A trace was left out of the grade. ${message}`)],
      refused,
      unsettled: unsettled.length > 0,
      points: isFatal ? nothing : pointsOfResults(results, config),
      sources: compiled.sources,
      seconds: (performance.now() - begin) / 1000
    }
  } finally {
    await judge.close()
    stayInterruptible()
    compiled.remove()
    reference.remove()
  }
}

/** Reads the traces one by one. Rejects if none can be graded. */
async function readAll({ traces: paths, config }: GradeOptions) {
  const traces: Trace[] = []
  const refused: string[] = []
  for (const [index, path] of paths.entries()) {
    try {
      traces.push(fitting(await readTrace(path), path, config))
    } catch (error) {
      if (!(error instanceof OffheapError) || (traces.length === 0 && index === paths.length - 1))
        throw error
      refused.push(error.message)
    }
  }
  return { traces, refused }
}

/** Throws if a trace needs more memory than the lab has. */
function fitting(trace: Trace, path: string, { memory }: LabConfig): Trace {
  const { payload, operations } = peaksOf(trace)
  if (payload <= memory * MIB) return trace
  throw new OffheapError(
    'ERR_OFFHEAP_TRACE',
    `${path}: it has ${payload} bytes in use at one time, from operation ${operations} on; ` +
      `the lab has ${memory} MiB ("memory" in lab.jsonc)`
  )
}

function caseOf(
  options: GradeOptions,
  submission: Submission,
  reference: Submission,
  traces: readonly Trace[]
): Case {
  const { config } = options
  return {
    script: submission.path,
    sources: submission.sources,
    reference: reference.path,
    memory: config.memory * MIB,
    javascript: config.javascriptMemory * MIB,
    limits: options.limits ?? timeLimits(options.timeout ?? config.timeout),
    alignment: config.alignment,
    calloc: options.step?.calloc === true,
    state: config.stateOutside === 'fault',
    traces
  }
}

async function gradeTrace(
  trace: Trace,
  index: number,
  explain: boolean,
  options: GradeOptions,
  judge: Judge
): Promise<TraceResult> {
  const { config, checkEvery = false } = options
  const isMeasured = trace.length >= config.minimumOperations && trace.weight !== 0
  const { fault, utilization, timing, cost } = await judge.judge({
    task: 'trace',
    trace: index,
    checkInterval: checkEvery || trace.length <= TINY ? 1 : Math.ceil(trace.length / CHECKS),
    timing: isMeasured ? millisecondsOf(config) : 0,
    builtIn: options.step?.builtIn === true,
    explain
  })
  const result = { trace: trace.name, operations: trace.length, weight: trace.weight ?? 1 }
  if (fault !== undefined) return { ...result, fault, ...(isMeasured ? { performance: 0 } : {}) }
  if (timing === undefined || cost === undefined) return { ...result, utilization }
  const throughput = config.throughputBy === 'cost' ? cost.ratio : timing.ratio
  const exponents = exponentsOf(config, trace.weight)
  const { builtIn } = timing
  const performanceBy = (by: LabConfig['throughputBy'], measures: Measures) =>
    performanceOf(measures, scalesOf(options.step ?? config, by, trace.name), exponents)
  return {
    ...result,
    utilization,
    throughput,
    nsPerOperation: timing.nsPerOperation,
    settled: timing.settled,
    cost,
    performance: performanceBy(config.throughputBy, { utilization, throughput }),
    ...(builtIn === undefined
      ? {}
      : {
          builtIn: {
            ...builtIn,
            performance: performanceBy('time', builtIn),
            ownPerformance: performanceBy('time', { utilization, throughput: timing.ratio })
          }
        })
  }
}

/**
 * Returns the milliseconds for timing a trace. Throughput by cost needs only the fewest rounds.
 */
function millisecondsOf({ throughputBy, timing }: LabConfig): number {
  return throughputBy === 'cost' ? 1 : timing * 1000
}

function pointsOfResults(results: readonly TraceResult[], config: LabConfig): Points {
  const valid = results.filter(result => result.fault === undefined).length
  const performances = results.flatMap(result =>
    result.performance === undefined ? [] : [result.performance]
  )
  return pointsOf(valid, results.length, performances, config)
}
