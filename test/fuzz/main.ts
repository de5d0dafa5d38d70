/**
 * `node test/check.js fuzz`: mutates inputs of the corpus, guided by coverage of the library, and
 * runs each target in a process of its own. It is a finding if a call throws a wrong error, ends
 * the process or does not end. The input is then kept in test/fuzz/build/findings, and the exit
 * code is not 0.
 */
import { fork } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Report } from './child.js'
import { type TargetName, targetNames } from './targets.js'

/** No input takes this long: a child that is silent for this many milliseconds hangs. */
const PATIENCE = 60_000

/** Where this file was compiled to, and the checkout that it came from. */
const build = fileURLToPath(new URL('../../', import.meta.url))
const root = fileURLToPath(new URL('../../../../../', import.meta.url))

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    target: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    save: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false }
  }
})

if (values.help) {
  console.log(`node test/check.js fuzz [--minutes N] [--target ${targetNames.join('|')}] [--seed N]
  [--save]

Runs for N minutes in all (default: 5), shared by the targets. --save replaces the corpus by the
inputs with the most coverage.`)
} else {
  process.exitCode = await main()
}

async function main(): Promise<number> {
  const minutes = Number(values.minutes)
  const wanted = targetNames.filter(name => values.target === undefined || name === values.target)
  if (!(minutes > 0) || wanted.length === 0) {
    console.error(`--minutes takes a number above 0, --target one of ${targetNames.join(', ')}`)
    return 2
  }
  for (const name of ['build', 'prebuilds']) {
    rmSync(join(build, name), { force: true })
    if (existsSync(join(root, name))) symlinkSync(join(root, name), join(build, name))
  }
  console.log(`seed ${values.seed}`)
  let findings = 0
  for (const target of wanted) findings += await runTarget(target, (minutes * 60) / wanted.length)
  console.log(
    findings === 0 ? 'nothing found' : `${findings} findings: see test/fuzz/build/findings`
  )
  return findings === 0 ? 0 : 1
}

/** Runs one target for the given number of seconds. Resolves to the number of findings. */
function runTarget(target: TargetName, seconds: number): Promise<number> {
  const folder = join(root, 'test/fuzz')
  const findings = join(folder, 'build/findings')
  mkdirSync(findings, { recursive: true })
  const scratch = mkdtempSync(join(tmpdir(), 'offheap-fuzz-'))
  const current = join(scratch, 'input')
  const words = [
    target,
    String(seconds),
    values.seed,
    join(folder, 'corpus.json.gz'),
    findings,
    current
  ]
  const child = fork(join(build, 'test/fuzz/child.js'), values.save ? [...words, 'save'] : words)
  let last: Report | undefined
  let why: string | undefined
  let told = Date.now()
  const hangs = (): void => {
    why = 'does not end'
    child.kill('SIGKILL')
  }
  let watchdog = setTimeout(hangs, PATIENCE)
  child.on('message', (report: Report) => {
    clearTimeout(watchdog)
    watchdog = setTimeout(hangs, PATIENCE)
    last = report
    if (Date.now() - told < 10_000) return
    told = Date.now()
    console.log(line(target, report))
  })
  return new Promise(resolve => {
    child.on('exit', (code, signal) => {
      clearTimeout(watchdog)
      let count = last?.findings ?? 0
      if (code !== 0) {
        why ??=
          signal === null ? `ends the process with code ${code}` : `ends the process by ${signal}`
        const kept = join(findings, `${target}-ended`)
        if (existsSync(current)) copyFileSync(current, kept)
        console.error(`${kept}: an input ${why}`)
        count++
      }
      if (existsSync(`${current}-longest`))
        copyFileSync(`${current}-longest`, join(findings, `${target}-longest`))
      rmSync(scratch, { recursive: true, force: true })
      if (last !== undefined) console.log(line(target, last))
      resolve(count)
    })
  })
}

function line(
  target: TargetName,
  { executions, inputs, reached, mostSteps, findings }: Report
): string {
  return (
    `${target.padEnd(6)} ${executions} executions, ${inputs} inputs, ${reached} blocks of ` +
    `code, at most ${mostSteps} steps, ${findings} findings`
  )
}
