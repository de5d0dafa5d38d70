/** The process that measures one contender on one task, on request. */
import type { ContenderName } from './contenders.js'
import { type Sampler, samplerOf } from './sampler.js'
import type { Work } from './work.js'

/** The first message to a process: what to measure. */
export interface Start {
  readonly contender: ContenderName
  readonly work: Work
}

/** Each later message: take samples for this long. */
export interface Take {
  readonly ms: number
}

/** `samples` is empty in the answer to Start. */
export type Answer = { readonly samples: readonly number[] } | { readonly error: string }

let sampler: Sampler | undefined

async function answerTo(message: Start | Take): Promise<Answer> {
  if ('work' in message) {
    sampler = await samplerOf(message.contender, message.work)
    return { samples: [] }
  }
  if (sampler === undefined) throw new Error('a request for samples came before the first message')
  return { samples: await sampler.take(message.ms) }
}

process.on('message', (message: Start | Take) => {
  answerTo(message)
    .catch(
      (error: unknown): Answer => ({
        error: error instanceof Error ? error.message : String(error)
      })
    )
    .then(answer => process.send?.(answer))
})
