/**
 * Cross-builds the binaries of a release for all targets, or for the given ones, unless they are up
 * to date. `--check` builds nothing, and exits with code 1 if a binary is missing or outdated. In
 * both cases, the exit code is 1 if a binary violates a rule (rules.js).
 */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../build.js'
import { compile, findZig } from './compile.js'
import { faultsOf } from './rules.js'
import { crossDigest, filesOf, isReleasable, noteOf, store, TARGETS } from './targets.js'

/** Prints the problems of a target's addon, and sets the exit code. */
function judge(target) {
  const problems = faultsOf(target, readFileSync(join(ROOT, filesOf(target).addon)))
  for (const problem of problems) console.error(`${filesOf(target).addon}: ${problem}`)
  if (problems.length > 0) process.exitCode = 1
}

const names = process.argv.slice(2).filter(name => name !== '--check')
const unknown = names.find(name => !TARGETS.some(target => target.name === name))
const chosen = names.length === 0 ? TARGETS : TARGETS.filter(({ name }) => names.includes(name))

function describe(target) {
  const { addon, recorder } = filesOf(target)
  const paths = [addon, recorder].filter(path => path !== undefined)
  const sizes = paths.map(path => `${path} ${statSync(join(ROOT, path)).size} bytes`)
  return `${target.name}: ${sizes.join(', ')}; ${noteOf(target).compiler}`
}

if (unknown !== undefined) {
  console.error(
    `Unknown target '${unknown}'. The targets are: ${TARGETS.map(({ name }) => name).join(', ')}`
  )
  process.exitCode = 2
} else if (process.argv.includes('--check')) {
  const missing = chosen.filter(target => !isReleasable(target))
  for (const target of chosen) {
    console.log(missing.includes(target) ? `${target.name}: missing` : describe(target))
    if (!missing.includes(target)) judge(target)
  }
  if (missing.length > 0) {
    console.error(
      `A release needs binaries for ${missing.map(({ name }) => name).join(', ')}. Run: ` +
        'node native/prebuild/main.js'
    )
    process.exitCode = 1
  }
} else {
  try {
    if (process.platform !== 'linux')
      throw new Error(`cross builds run on Linux only, not on ${process.platform}`)
    for (const target of chosen) {
      if (!isReleasable(target)) {
        const zig = findZig()
        store(
          target,
          compile(target, zig),
          `zig ${zig.version}, ${target.zig}`,
          crossDigest(target)
        )
      }
      console.log(describe(target))
      judge(target)
    }
  } catch (error) {
    console.error(`offheap: ${error.message}`)
    process.exitCode = 1
  }
}
