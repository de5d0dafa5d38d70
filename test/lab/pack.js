/** Packs and unpacks the solutions of the lab: `node test/lab/pack.js pack|unpack DIR`. */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib'

const file = new URL('solutions.br', import.meta.url)
const [, , task, folder] = process.argv
if ((task !== 'pack' && task !== 'unpack') || folder === undefined) {
  console.error('node test/lab/pack.js pack|unpack DIR')
  process.exit(2)
}
if (task === 'pack') {
  const names = readdirSync(folder).filter(name => name.endsWith('.ts'))
  const sources = names.sort().map(name => [name, readFileSync(join(folder, name), 'utf8')])
  writeFileSync(file, brotliCompressSync(JSON.stringify(Object.fromEntries(sources))))
} else {
  mkdirSync(folder, { recursive: true })
  const sources = JSON.parse(brotliDecompressSync(readFileSync(file)).toString())
  for (const [name, source] of Object.entries(sources)) writeFileSync(join(folder, name), source)
}
