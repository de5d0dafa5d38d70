/** The process that measures one contender on one task, on request. */
import type { Answer, Start, Take } from './messages.js'
import { type Sampler, samplerOf } from './sampler.js'

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
