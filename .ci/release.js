/**
 * Everything for a release except publishing. Checks the commit, runs .ci/run, builds the binaries
 * of all platforms, packs, and compares the contents of the tarball with the notes of the build.
 * `--no-tests` skips .ci/run, if it has just been run. Prints the tarball and its checksum. The
 * exit code is 1 if something must not be released.
 *
 * Only .github/workflows/release.yml publishes, because npm provenance works only there.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT, run } from '../native/build.js'
import { filesOf, noteOf, sha256, TARGETS } from '../native/prebuild/targets.js'

const OUT = join(ROOT, '.release')
const problems = []

function check(right, problem) {
  if (!right) problems.push(problem)
}

function read(path) {
  return readFileSync(join(ROOT, path), 'utf8')
}

function git(...args) {
  return execFileSync('git', args, {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore']
  }).trim()
}

/** The text under the heading of a version in the changelog; '' if there is none. */
function changesOf(version) {
  const [, text = ''] = read('CHANGELOG.md').split(`\n## [${version}]`)
  return text
    .split('\n## [')[0]
    .replace(/^[^\n]*\n/, '')
    .trim()
}

function layoutVersion(header) {
  const [, version] = header.match(/VERSION = (\d+)/) ?? []
  return version
}

/** Before the build: checks whether this commit can be released. */
function checkSources({ version, repository }) {
  check(git('status', '--porcelain') === '', 'the working tree has changes that no commit has')
  const changes = changesOf(version)
  check(changes !== '', `CHANGELOG.md says nothing under "## [${version}]"`)
  check(
    changesOf('Unreleased') === '',
    `CHANGELOG.md still has changes under "## [Unreleased]"; they belong to ${version}`
  )
  const tags = git('tag', '--list', 'v*', '--sort=-v:refname').split('\n').filter(Boolean)
  const earlier = tags.filter(tag => tag !== `v${version}`)
  if (tags.includes(`v${version}`)) {
    const tagged = git('rev-list', '-n1', `v${version}`)
    check(
      tagged === git('rev-parse', 'HEAD'),
      `the tag v${version} is on another commit, ${tagged}`
    )
  }
  if (earlier.length > 0) {
    const before = layoutVersion(git('show', `${earlier[0]}:lib/layout/header.ts`))
    const now = layoutVersion(read('lib/layout/header.ts'))
    check(
      before === now || changes.includes(`Layout version ${now}`),
      `the heap's layout went from version ${before} to ${now}: CHANGELOG.md must say ` +
        `"Layout version ${now}" and what becomes of old heaps`
    )
  }
  const forge = process.env.GITHUB_REPOSITORY
  const url = typeof repository === 'object' ? repository.url : repository
  if (forge === undefined)
    console.log(
      `repository in package.json: ${url ?? 'none; npm gives a proof of provenance only with one'}`
    )
  else
    check(
      url?.includes(forge),
      `package.json must name its repository, ${forge}, or npm gives no proof of provenance`
    )
}

/** The binaries in the tarball must be those that the compilers made from these sources. */
function checkTarball(tarball) {
  const folder = mkdtempSync(join(tmpdir(), 'offheap-release-'))
  execFileSync('tar', ['-xzf', tarball, '-C', folder])
  for (const target of TARGETS) {
    const note = noteOf(target)
    check(note !== undefined, `there is no binary for ${target.name}`)
    for (const [path, sha] of Object.entries(note?.sha256 ?? {})) {
      const packed = join(folder, 'package', path)
      check(
        existsSync(packed) && sha256(packed) === sha,
        `${path} in the tarball is not the one that was built`
      )
    }
    const packedNote = join(folder, 'package', filesOf(target).note)
    if (existsSync(packedNote))
      console.log(`${target.name}: ${JSON.parse(readFileSync(packedNote, 'utf8')).compiler}`)
  }
  rmSync(folder, { recursive: true })
}

try {
  const manifest = JSON.parse(read('package.json'))
  checkSources(manifest)
  check(
    JSON.parse(read('labs/package.json')).version === manifest.version,
    'offheap and offheap-labs have different versions'
  )
  if (!process.argv.includes('--no-tests')) run('.ci/run', [], { cwd: ROOT })
  run(process.execPath, ['native/prebuild/main.js'], { cwd: ROOT })
  rmSync(OUT, { recursive: true, force: true })
  mkdirSync(OUT, { recursive: true })
  run('npm', ['pack', '--silent', '--pack-destination', OUT, '.', './labs'], { cwd: ROOT })
  const tarball = join(OUT, `${manifest.name}-${manifest.version}.tgz`)
  checkTarball(tarball)
  run(process.execPath, ['test/check.js', 'package', 'tarball'], {
    cwd: ROOT,
    env: { ...process.env, OFFHEAP_TARBALL: tarball }
  })
  const integrity = createHash('sha512').update(readFileSync(tarball)).digest('base64')
  console.log(`commit ${git('rev-parse', 'HEAD')}\n${tarball}\nsha512-${integrity}`)
} catch (error) {
  problems.push(error.message)
}
for (const problem of problems) console.error(`not to be released: ${problem}`)
if (problems.length > 0) process.exitCode = 1
