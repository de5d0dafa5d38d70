/**
 * Where the files of the course lie: handouts, traces, weights. They are a package of their own, `offheap-labs`, since only courses need
 * them. A checkout has them in labs/.
 */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** The folder of the package, as a program in that folder would find it; undefined when it is not installed. */
function installed(from: string): string | undefined {
  try {
    return dirname(createRequire(join(from, 'none.js')).resolve('offheap-labs/package.json'))
  } catch {
    return undefined
  }
}

/** The folder with handouts and traces: of the checkout, of the package beside this one, or of one in the working directory. */
function findLabs(): string | undefined {
  const own = join(ROOT, 'labs')
  return existsSync(own) ? own : (installed(ROOT) ?? installed(process.cwd()))
}

const found = findLabs()

/** The folder with handouts and traces. When offheap-labs is not installed, a folder that is not there: see `missingLabs`. */
export const labsFolder = found ?? join(ROOT, 'labs')

/** What to do about a missing offheap-labs, in sentences; undefined when it is there. */
export function missingLabs(): string | undefined {
  if (found !== undefined) return undefined
  const version = ownVersion()
  return (
    'the handouts and traces of the lab are in a package of their own, offheap-labs, which is not installed. ' +
    `Install it (npm install offheap-labs@${version}), or run: npx -p offheap@${version} -p offheap-labs@${version} offheap lab init DIR. ` +
    `Without internet: npm install ./offheap-${version}.tgz ./offheap-labs-${version}.tgz, made elsewhere by "npm pack offheap offheap-labs"`
  )
}

/** The version of this package. */
export function ownVersion(): string {
  const own: unknown = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  return typeof own === 'object' && own !== null && 'version' in own ? String(own.version) : 'latest'
}
