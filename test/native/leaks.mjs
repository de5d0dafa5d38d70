/**
 * Runs leaks-driver.mjs under valgrind's memcheck. Fails if a record belongs to the addon: a block
 * that was allocated during a call of the addon, and is lost or still reachable at exit; or an
 * invalid access by the addon itself, or its use of uninitialized bytes. Records of only Node and
 * V8 are counted, but don't cause a failure.
 *
 *   node test/check.js valgrind      needs valgrind and a built addon
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = mkdtempSync(join(tmpdir(), 'offheap-valgrind-'))
const output = join(folder, 'valgrind.xml')
const driver = fileURLToPath(new URL('leaks-driver.mjs', import.meta.url))
const options = [
  '--leak-check=full',
  '--show-leak-kinds=all',
  '--num-callers=40',
  // Node unloads the addon when the last worker that loaded it ends. Without this option, its
  // frames would then have no names.
  '--keep-debuginfo=yes',
  // V8 generates code at run time.
  '--smc-check=all-non-file',
  '--xml=yes',
  `--xml-file=${output}`
]
const { status, error, stdout } = spawnSync(
  'valgrind',
  [...options, process.execPath, '--expose-gc', driver],
  {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit']
  }
)
if (error !== undefined) {
  console.error(`valgrind could not be run: ${error.message}`)
  process.exit(2)
}
const records = readFileSync(output, 'utf8').split('<error>').slice(1)
rmSync(folder, { recursive: true })

const ours = records.filter(isOurs)
for (const record of ours) console.error(describe(record))
console.log(
  `${records.length} records of valgrind, ${ours.length} of the addon; the driver ended ` +
    `with ${status}`
)
process.exitCode = status === 0 && stdout === 'done\n' && ours.length === 0 ? 0 : 1

/**
 * Returns whether a record belongs to the addon: a leak if any frame is in the addon, an access if
 * the innermost frame is.
 */
function isOurs(record) {
  const objects = [...record.matchAll(/<obj>([^<]*)<\/obj>/g)].map(([, path]) => path)
  if (record.includes('<kind>Leak_')) return objects.some(isAddon)
  const first = objects.find(
    path => !/\/(vgpreload_[^/]*|libc[.-][^/]*|libstdc\+\+[^/]*)$/.test(path)
  )
  return first !== undefined && isAddon(first)
}

function isAddon(path) {
  return path.endsWith('/offheap.node')
}

function describe(record) {
  const kind = /<kind>(\w+)/.exec(record)?.[1]
  const text = /<(?:what|text)>([^<]*)/.exec(record)?.[1]
  const frames = record.split('<frame>').slice(1)
  const lines = frames.map(frame => {
    const name = /<fn>([^<]*)/.exec(frame)?.[1] ?? '???'
    return `    ${name} (${/<obj>(?:[^<]*\/)?([^<]*)/.exec(frame)?.[1] ?? '???'})`
  })
  return `${kind}: ${text}\n${lines.slice(0, 15).join('\n')}`
}
