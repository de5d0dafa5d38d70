import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { compileSubmission } from '../../lib/lab/grade/compile.js'
import { Places } from '../../lib/lab/submission/places.js'

it("maps the stack of a compiled submission to lines of the student's file", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'offheap-test-'))
  try {
    const file = join(folder, 'allocator.ts')
    writeFileSync(
      file,
      'type Size = number\n\nexport function create(size: Size) {\n  throw new ' +
        'Error(String(size))\n}\n'
    )
    const compiled = await compileSubmission(file, 'script')
    if (!('path' in compiled)) throw new Error(compiled.what)
    const code = readFileSync(compiled.path, 'utf8')
    const lines = code.split('\n')
    const line = lines.findIndex(text => text.includes('throw new')) + 1
    const column = (lines[line - 1]?.indexOf('new Error') ?? 0) + 1
    const places = new Places(code, compiled.sources)
    const stack =
      `Error: 8\n    at create (submission.js:${line}:${column})\n    at obey ` +
      '(file:///dist/lab/submission/main.js:1:1)'
    expect(places.in(stack)).toEqual([{ file, line: 4, column: 9, function: 'create' }])
    compiled.remove()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
