/**
 * Creates what a course needs for grading: a Gradescope autograder, a container, a workflow for
 * GitHub Classroom. Overwrites nothing but the archive.
 */

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { labsFolder, ownVersion } from '../../labs-package.js'
import type { InitResult } from './init.js'
import { zip } from './zip.js'

const EXECUTABLE = /(\.sh|run_autograder)$/

/**
 * Fills `folder`, and creates it if it does not exist. Throws Node's error if it can't be written.
 */
export function layKit(folder: string): InitResult {
  const written: string[] = []
  const kept: string[] = []
  const put = (name: string, bytes: Uint8Array) => {
    const path = join(folder, name)
    if (existsSync(path)) {
      kept.push(name)
      return
    }
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, bytes)
    if (EXECUTABLE.test(name)) chmodSync(path, 0o755)
    written.push(name)
  }
  mkdirSync(folder, { recursive: true })
  const version = ownVersion()
  const templates = filesIn(join(labsFolder, 'kit')).map(path => ({
    name: relative(join(labsFolder, 'kit'), path),
    bytes: Buffer.from(readFileSync(path, 'utf8').replaceAll('@VERSION', `@${version}`))
  }))
  const course = ['lab.jsonc', 'traces'].flatMap(part =>
    filesIn(join(labsFolder, part)).map(path => ({
      name: relative(labsFolder, path),
      bytes: readFileSync(path)
    }))
  )
  for (const { name, bytes } of [...templates, ...course]) put(name, bytes)
  put('README.md', Buffer.from(README))
  // Pack the files in the folder: on a later run, these are the course's own traces and thresholds.
  const entries = ['setup.sh', 'run_autograder']
    .map(name => ({ name, path: join(folder, 'gradescope', name) }))
    .concat(
      ['lab.jsonc', 'traces'].flatMap(part =>
        filesIn(join(folder, part)).map(path => ({ name: relative(folder, path), path }))
      )
    )
    .map(({ name, path }) => ({
      name,
      bytes: readFileSync(path),
      executable: EXECUTABLE.test(name)
    }))
  writeFileSync(join(folder, 'autograder.zip'), zip(entries))
  written.push('autograder.zip')
  return { written, kept }
}

function filesIn(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path)
    .sort()
    .flatMap(name => filesIn(join(path, name)))
}

const README = `# Grading

Students know the traces that ship, so put your own into traces/, and your thresholds into
lab.jsonc. Then run \`offheap lab kit\` on this folder again. It rebuilds autograder.zip, and keeps
your files.

- Hidden traces: \`offheap lab traces traces --seed SECRET\`, then \`offheap lab kit .\` again.
- Gradescope: upload autograder.zip.
- A container: \`docker build -t allocator-lab .\`, then the command in the Dockerfile.
- GitHub Classroom: copy .github/workflows/classroom.yml into the repository that students start
  from.
- All submissions at once: \`offheap lab grade-all submissions -t traces --config lab.jsonc
  --csv grades.csv --html grades.html\`.
`
