/** The thread that a submission runs in. It does one job and ends; the grader kills it when it takes too long or too much. */

import { parentPort, workerData } from 'node:worker_threads'
import { FaultFound, faultOf, placesIn } from './fault.js'
import type { Job, Outcome } from './job.js'
import type { Create } from './memory.js'
import { create as reference } from './reference.js'
import { diagnose, type Load, pair, time, verify } from './runs.js'
import { stateOutside } from './state.js'

const job: Job = workerData
// Stacks must name the student's own lines, and reach from deep inside the watched views back to them.
process.setSourceMapsEnabled(true)
Error.stackTraceLimit = 40

let loads = 0

const load: Load = async () => {
  // A new query makes a new module, with top-level variables of its own.
  const href = `${job.url}?${loads++}`
  let module: unknown
  try {
    module = await import(href)
  } catch (error) {
    const isError = error instanceof Error
    throw new FaultFound(
      faultOf(
        'load',
        `the submission can't be loaded: ${isError ? `${error.name}: ${error.message}` : String(error)}`,
        {
          stack: isError ? placesIn(error.stack ?? '', job.sources) : []
        }
      )
    )
  }
  return createOf(module)
}

function createOf(module: unknown): Create {
  if (typeof module === 'object' && module !== null) {
    for (const name of ['create', 'default']) {
      const create: unknown = Reflect.get(module, name)
      if (typeof create === 'function') return memory => Reflect.apply(create, undefined, [memory])
    }
    const names = Object.keys(module)
    const found = names.length === 0 ? 'It exports nothing' : `It exports ${names.join(', ')}`
    throw new FaultFound(
      faultOf('load', 'the submission exports no function "create"', {
        details: [`${found}.`],
        hint: 'export function create(memory: Memory): Allocator { … }'
      })
    )
  }
  throw new FaultFound(faultOf('load', 'the submission is no module'))
}

/** The last outcome that was posted counts. */
function post(outcome: Outcome): void {
  parentPort?.postMessage(outcome)
}

async function run(): Promise<Outcome> {
  if (job.task === 'state') {
    const fault = stateOutside(await load(), job.memory, job.sources)
    return { ...(fault === undefined ? {} : { fault }), peakPayload: 0, heap: 0 }
  }
  if (job.task === 'diagnose') {
    const found = faultOf('slow', '', { operation: job.until })
    const fault = await diagnose(load, job, found)
    return { ...(fault === found ? {} : { fault }), peakPayload: 0, heap: 0 }
  }
  const verdict = await verify(load, job, fault => post({ fault, peakPayload: 0, heap: 0 }))
  if (verdict.fault !== undefined) return verdict
  const fault = job.pair ? await pair(load, job) : undefined
  if (fault !== undefined) return { ...verdict, fault }
  if (job.timing === 0) return verdict
  return { ...verdict, timing: await time(load, reference, job, verdict.peakPayload) }
}

try {
  post(await run())
} catch (error) {
  if (!(error instanceof FaultFound)) throw error
  post({ fault: error.fault, peakPayload: 0, heap: 0 })
}
