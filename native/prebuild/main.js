/**
 * `npm run prebuilds`: the binaries of a release, cross-built for every target, or for those that are named. What is up to date is left
 * alone. `npm run prebuilds -- --check` builds nothing and ends with 1 when a binary is missing or old.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../build.js'
import { compile, findZig } from './compile.js'
import { crossDigest, filesOf, isReleasable, noteOf, store, TARGETS } from './targets.js'

const names = process.argv.slice(2).filter(name => name !== '--check')
const unknown = names.find(name => !TARGETS.some(target => target.name === name))
const chosen = names.length === 0 ? TARGETS : TARGETS.filter(({ name }) => names.includes(name))

function describe(target) {
  const { addon, recorder } = filesOf(target)
  const sizes = [addon, recorder].map(path => `${path} ${statSync(join(ROOT, path)).size} bytes`)
  return `${target.name}: ${sizes.join(', ')}; ${noteOf(target).compiler}`
}

if (unknown !== undefined) {
  console.error(`No target is called '${unknown}'. There are: ${TARGETS.map(({ name }) => name).join(', ')}`)
  process.exitCode = 2
} else if (process.argv.includes('--check')) {
  const missing = chosen.filter(target => !isReleasable(target))
  for (const target of chosen) console.log(missing.includes(target) ? `${target.name}: missing` : describe(target))
  if (missing.length > 0) {
    console.error(`A release needs binaries for ${missing.map(({ name }) => name).join(', ')}. Run: npm run prebuilds`)
    process.exitCode = 1
  }
} else {
  try {
    if (process.platform !== 'linux') throw new Error(`cross builds run on Linux only; this is ${process.platform}`)
    for (const target of chosen) {
      if (!isReleasable(target)) {
        const zig = findZig()
        store(target, compile(target, zig), `zig ${zig.version}, ${target.zig}`, crossDigest(target))
      }
      console.log(describe(target))
    }
  } catch (error) {
    console.error(`offheap: ${error.message}`)
    process.exitCode = 1
  }
}
