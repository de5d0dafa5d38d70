/**
 * Minifies the code of the package: removes comments and white space, and shortens the names of
 * variables. Keeps the names of functions, classes and methods, and writes one statement per line,
 * so that stacks and the lines that Node prints with an error are readable.
 */
import { parseAst } from 'rolldown/parseAst'
import { minifySync } from 'rolldown/utils'

/** Characters that must not begin a line if the previous one has no semicolon. */
const CONTINUES = new Set('([`/+-')

/**
 * Minifies code. With `compress`, also rewrites statements: don't use it for hot loops. Throws if
 * the code can't be parsed.
 */
export function small(name, code, compress) {
  const mangle = { toplevel: true, keepNames: true }
  const result = minifySync(name, code, { module: true, compress, mangle })
  if (result.errors.length > 0) throw new Error(`${name}: ${result.errors[0].message}`)
  return inLines(result.code.trim())
}

function inLines(code) {
  const { starts, empty } = statementsOf(parseAst(code))
  let [lines, at] = ['', 0]
  for (const start of [...starts].sort((one, other) => one - other)) {
    const before = code[start - 1]
    if (before === undefined || before === '{' || before === '\n') continue
    // A line break ends a statement like a semicolon, but is not a statement itself.
    const isEnd = before === ';' && !empty.has(start) && !CONTINUES.has(code[start])
    lines += `${code.slice(at, isEnd ? start - 1 : start)}\n`
    at = start
  }
  return `${lines}${code.slice(at)}\n`
}

/** Where the statements of blocks begin, and where empty ones end. */
function statementsOf(tree) {
  const [starts, empty] = [new Set(), new Set()]
  const walk = node => {
    if (node.type === 'EmptyStatement') empty.add(node.end)
    if (['Program', 'BlockStatement', 'StaticBlock'].includes(node.type))
      for (const { start } of node.body) starts.add(start)
    for (const value of Object.values(node)) {
      for (const child of Array.isArray(value) ? value : [value])
        if (typeof child?.type === 'string') walk(child)
    }
  }
  walk(tree)
  return { starts, empty }
}
