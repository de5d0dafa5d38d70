/**
 * Part of `prepare`, which runs in `npm install` in a checkout and in `npm pack`: a package must at
 * least run on the machine that packed it. Copies the addon from build/Release to prebuilds/,
 * unless a release binary for this platform is there. Deletes binaries of older sources. In `npm
 * pack`, lists the platforms without a binary; only a release needs all of them, so `npm publish`
 * fails without one.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { digest, ROOT } from '../build.js'
import { hostTarget, isReleasable, noteOf, remove, store, TARGETS } from './targets.js'

const host = hostTarget()
const fromHere = digest(host.name)
if (!isReleasable(host) && noteOf(host)?.sources !== fromHere) {
  const read = name => readFileSync(join(ROOT, 'build', 'Release', name))
  const recorder = host.platform === 'linux' ? read('recorder.so') : undefined
  store(host, { addon: read('offheap.node'), recorder }, 'the compiler of this machine', fromHere)
}
const missing = TARGETS.filter(target => target.name !== host.name && !isReleasable(target))
for (const target of missing) remove(target)
const { npm_command: command = '' } = process.env
if (missing.length > 0 && ['pack', 'publish'].includes(command)) {
  const names = missing.map(({ name }) => name).join(', ')
  console.error(
    `offheap: the package will have binaries for ${host.name}, but none for ${names}. ` +
      'To build those, run: node native/prebuild/main.js'
  )
  if (command === 'publish') process.exitCode = 1
}
