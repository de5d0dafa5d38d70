/**
 * Runs files of tests in this process and writes the result of each test to a file, as JSON. Not to
 * standard output: under Wine, Node can't write to that. Usage: run.mjs REPORT FILE...
 */
import { appendFileSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { runFile } from 'vitest'

const [report = '', ...files] = process.argv.slice(2)
writeFileSync(report, '')
for (const file of files) {
  // Written before the file runs, so that the report shows where the process ended.
  appendFileSync(report, `${JSON.stringify({ file })}\n`)
  const rows = await runFile(pathToFileURL(file).href)
  appendFileSync(report, `${JSON.stringify({ file, rows })}\n`)
}
appendFileSync(
  report,
  `${JSON.stringify({ done: true, version: process.version, versions: process.versions })}\n`
)
process.exit(0)
