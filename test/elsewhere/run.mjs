/**
 * Runs files of tests in this process and writes what came of each test into a file, as JSON. Not
 * to standard output: under Wine that is no pipe that Node can write to. Usage: run.mjs REPORT
 * FILE...
 */
import { appendFileSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { runFile } from 'vitest'

const [report = '', ...files] = process.argv.slice(2)
writeFileSync(report, '')
for (const file of files) {
  // Before the file, so that a report that ends here tells where the process died.
  appendFileSync(report, `${JSON.stringify({ file })}\n`)
  const rows = await runFile(pathToFileURL(file).href)
  appendFileSync(report, `${JSON.stringify({ file, rows })}\n`)
}
appendFileSync(
  report,
  `${JSON.stringify({ done: true, version: process.version, versions: process.versions })}\n`
)
process.exit(0)
