/** Collects the events that offheap publishes through diagnostics_channel. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'

const NAMES = ['map', 'close', 'grow', 'trim', 'out-of-memory', 'fault']

export interface Told {
  readonly name: string
  readonly message: Record<string, unknown>
}

let stop = (): void => {}

/** Collects all events until `stopListening` or the next `listen`. */
export function listen(): Told[] {
  stop()
  const told: Told[] = []
  const listeners = NAMES.map(name => {
    const listener = (message: unknown): void => {
      if (typeof message === 'object' && message !== null)
        told.push({ name, message: { ...message } })
    }
    subscribe(`offheap:${name}`, listener)
    return () => unsubscribe(`offheap:${name}`, listener)
  })
  stop = () => {
    for (const end of listeners) end()
  }
  return told
}

export function stopListening(): void {
  stop()
}
