/**
 * Shortens the declarations of the package to what a user's compiler can reach: from the exports of
 * the public modules, follows each name to its declaration, and on to the names in that. Other
 * declarations, most of them of the engine, are left out, and so are the comments of private
 * members.
 */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseAst } from 'rolldown/parseAst'

/**
 * Returns the text of the declaration files in a folder that the exports of these files need, by
 * the names of the files.
 */
export function declarationsFor(dist, entries) {
  const files = new Map()
  const open = name => {
    if (!files.has(name)) files.set(name, parsed(name, readFileSync(join(dist, name), 'utf8')))
    return files.get(name)
  }

  /** Keeps an exported name of a file, or a name that a declaration in it mentions. */
  function keep(name, wanted) {
    const { imports, declared, kept } = open(name)
    if (kept.has(wanted)) return
    const imported = imports.get(wanted)
    const statements = declared.get(wanted)
    if (imported === undefined && statements === undefined) return
    kept.add(wanted)
    if (imported?.file !== undefined) keep(imported.file, imported.name)
    for (const statement of statements ?? [])
      for (const word of wordsIn(statement)) keep(name, word)
  }

  for (const entry of entries) for (const name of open(entry).imports.keys()) keep(entry, name)
  return new Map([...files].map(([name, file]) => [name, printed(file)]))
}

function parsed(name, code) {
  const { body } = parseAst(code, { lang: 'dts' })
  const imports = new Map()
  const declared = new Map()
  for (const node of body) {
    const { type, source, specifiers, declaration } = node
    if (specifiers !== undefined && source) {
      const isLocal = source.value.startsWith('.')
      const file = isLocal ? join(dirname(name), source.value).replace(/\.js$/, '.d.ts') : undefined
      for (const { imported, exported, local } of specifiers)
        imports.set((exported ?? local).name, { file, name: (imported ?? local).name })
      continue
    }
    const inner = declaration ?? node
    const ids = inner.declarations?.map(({ id }) => id) ?? [inner.id]
    if (ids.some(id => id?.type !== 'Identifier')) {
      // `export {}` marks a module without other exports.
      if (type === 'ExportNamedDeclaration' && specifiers.length === 0 && !declaration) continue
      throw new Error(`${name} has a declaration that is not expected in it: ${type}`)
    }
    for (const { name: id } of ids) declared.set(id, [...(declared.get(id) ?? []), node])
  }
  return { code, body, imports, declared, kept: new Set() }
}

/** The names that a statement mentions. */
function* wordsIn(node) {
  if (node.type === 'Identifier') yield node.name
  if (node.type === 'TSImportType') throw new Error('import() in a declaration is not followed')
  for (const child of Object.values(node).flat())
    if (typeof child?.type === 'string') yield* wordsIn(child)
}

function printed({ code, body, declared, kept }) {
  const parts = []
  for (const node of body) {
    const { source, specifiers } = node
    if (specifiers !== undefined && source) {
      const names = specifiers.filter(({ exported, local }) => kept.has((exported ?? local).name))
      if (names.length === 0) continue
      // `import type { ` or `export { `, without what is left out
      const head = code.slice(node.start, specifiers[0].start)
      const list = names.map(({ start, end }) => code.slice(start, end)).join(', ')
      parts.push(`${head}${list} } from '${source.value}';`)
    } else if ([...kept].some(name => declared.get(name)?.includes(node))) {
      const lead = code.slice(body[body.indexOf(node) - 1]?.end ?? 0, node.start)
      parts.push(lead.slice(Math.max(0, lead.lastIndexOf('/**'))).trim(), statement(code, node))
    }
  }
  if (!parts.some(part => /^(import|export) /.test(part))) parts.push('export {};')
  return `${parts.filter(part => part !== '').join('\n')}\n`
}

/** The text of a statement, without the comments before private members. */
function statement(code, node) {
  const { body } = node.declaration ?? node
  let [text, at] = ['', node.start]
  if (Array.isArray(body?.body)) {
    let end = body.start + 1
    for (const member of body.body) {
      if (member.accessibility === 'private') {
        text += `${code.slice(at, end)}\n    `
        at = member.start
      }
      end = member.end
    }
  }
  return text + code.slice(at, node.end)
}
