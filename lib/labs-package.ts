/**
 * Finds the files that only courses need: handouts, traces, kits, and the page of `offheap play`. A
 * checkout has them. For users they are in a second package, `offheap-labs`, so that the library is
 * small.
 */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The root of this package, or of the checkout. */
const ROOT = fileURLToPath(new URL('../', import.meta.url))

/** The folder of offheap-labs, as resolved from a folder; undefined if it is not installed. */
function installed(from: string): string | undefined {
  try {
    return dirname(createRequire(join(from, 'none.js')).resolve('offheap-labs/package.json'))
  } catch {
    return undefined
  }
}

const inCheckout = existsSync(join(ROOT, 'labs'))
const found = inCheckout ? join(ROOT, 'labs') : (installed(ROOT) ?? installed(process.cwd()))

/** The folder with handouts and traces. It doesn't exist if `missingLabs` returns a message. */
export const labsFolder = found ?? join(ROOT, 'labs')

/** The folder with the built page of `offheap play`. */
export const playFolder = inCheckout ? join(ROOT, 'dist/play/page') : join(labsFolder, 'play')

/** A message about how to install offheap-labs; undefined if it is there. */
export function missingLabs(): string | undefined {
  if (found !== undefined) return undefined
  const version = ownVersion()
  return (
    'the package offheap-labs is not installed. It contains the handouts, the traces and the ' +
    `page of offheap play. Run: npm install offheap-labs@${version}\n` +
    `Without internet: run "npm pack offheap-labs@${version}" on another machine, then here ` +
    `npm install --offline ./offheap-labs-${version}.tgz`
  )
}

/** The version of this package. */
export function ownVersion(): string {
  const own: unknown = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  return typeof own === 'object' && own !== null && 'version' in own
    ? String(own.version)
    : 'latest'
}
