/**
 * Runs test files in this process, and writes the result of each test to a file, as JSON. It does
 * not use standard output, because Node can't write to that under Wine. Usage: run.mjs REPORT
 * FILE...
 */
import { appendFileSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { runFile } from 'vitest'

const [report = '', ...files] = process.argv.slice(2)
if (process.env.OFFHEAP_NODE !== undefined) process.execPath = process.env.OFFHEAP_NODE
writeFileSync(report, '')
for (const file of files) {
  // This comes before the tests, so that the report shows in which file the process ended.
  appendFileSync(report, `${JSON.stringify({ file })}\n`)
  const rows = await runFile(pathToFileURL(file).href)
  appendFileSync(report, `${JSON.stringify({ file, rows })}\n`)
}
appendFileSync(
  report,
  `${JSON.stringify({ done: true, version: process.version, versions: process.versions })}\n`
)
process.exit(0)
