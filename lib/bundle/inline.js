/**
 * Inlines calls in the source: the engine states malloc, free and realloc once, in small functions
 * that every placement policy shares, but V8 inlines only a limited amount of bytecode into a
 * function. So the build makes a class for each policy in which the bodies of those functions
 * replace their calls. docs/reading-benchmarks.md says what that gains. The result reads like this:
 *
 *     const found = this.policy.find(need)     becomes
 *
 *     let found; $1: { const $2 = this.policy, $3 = need; {
 *       let size = $3; … { found = block; break $1 } …
 *     } }
 *
 * A call is inlined if it is a statement, the value of a variable or the test of an `if`, or if the
 * function is a single expression. Others stay calls.
 */
import { parseAst } from 'rolldown/parseAst'

const isNode = value =>
  typeof value === 'object' && value !== null && typeof value.type === 'string'

/** The child nodes of a node. */
const childrenOf = node => Object.values(node).flat().filter(isNode)

/** Every node of a tree, from the top down. */
function* nodesOf(node) {
  yield node
  for (const child of childrenOf(node)) yield* nodesOf(child)
}

/** The names that a function declares, parameters included, and those that it uses from outside. */
function namesOf(fn) {
  const nodes = [...nodesOf(fn)]
  const notNames = new Set()
  for (const node of nodes) {
    if (node.type === 'MemberExpression' && !node.computed) notNames.add(node.property)
    if (node.type === 'Property' && !node.computed && node.key !== node.value)
      notNames.add(node.key)
  }
  const declared = new Set(fn.params.map(param => param.name))
  for (const { type, id } of nodes) {
    if (type !== 'VariableDeclarator') continue
    for (const part of nodesOf(id)) if (part.type === 'Identifier') declared.add(part.name)
  }
  const outside = nodes
    .filter(node => node.type === 'Identifier' && !notNames.has(node) && !declared.has(node.name))
    .map(node => node.name)
  return { declared, outside: new Set(outside) }
}

/** The names that a function assigns to. */
function assignedIn(fn) {
  const targets = [...nodesOf(fn)].map(({ type, left, argument }) =>
    type === 'AssignmentExpression' ? left : type === 'UpdateExpression' ? argument : undefined
  )
  return new Set(targets.filter(target => target?.type === 'Identifier').map(target => target.name))
}

/** The functions and classes at the top level of a module. */
function topLevel(program) {
  const functions = new Map()
  const classes = new Map()
  for (const { type, declarations } of program.body) {
    if (type !== 'VariableDeclaration') continue
    for (const { id, init } of declarations) {
      if (init?.type === 'ArrowFunctionExpression') functions.set(id.name, init)
      if (init?.type !== 'ClassExpression') continue
      const methods = init.body.body.filter(({ type }) => type === 'MethodDefinition')
      classes.set(id.name, {
        name: id.name,
        parent: init.superClass?.name,
        methods: new Map(methods.map(node => [node.key.name, { node, fn: node.value }]))
      })
    }
  }
  return { functions, classes }
}

/**
 * Returns the text of the methods `roots` of the class `root` in the module `code`, and where they
 * are, with the calls that `inline` names inlined: `name` for a function, `Class.name` for a
 * method. `fields` maps the names of fields to the classes of their objects. All of them work on
 * the same `words`.
 */
export function writeOut(code, { root, roots, fields, inline }) {
  const { functions, classes } = topLevel(parseAst(code))
  const wanted = new Set(inline)
  const used = new Set()
  let count = 0
  const fresh = () => `$${++count}`

  /** The method `name` of a class or of one that it extends, with the class that has it. */
  function methodOf(className, name) {
    for (let at = classes.get(className); at !== undefined; at = classes.get(at.parent)) {
      const method = at.methods.get(name)
      if (method !== undefined) return { owner: at, ...method }
    }
    throw new Error(`no class ${className} with a method ${name}`)
  }

  /** The function of a call that is to be inlined, and the receiver of a method; else undefined. */
  function calleeOf(node, frame) {
    if (node?.type !== 'CallExpression') return undefined
    const { callee } = node
    if (callee.type === 'Identifier') {
      if (!wanted.has(callee.name) || !functions.has(callee.name)) return undefined
      used.add(callee.name)
      return { fn: functions.get(callee.name), self: undefined, className: undefined }
    }
    if (callee.type !== 'MemberExpression' || callee.computed) return undefined
    const { object, property } = callee
    let [className, self] = ['', '']
    if (object.type === 'ThisExpression') [className, self] = [frame.className, frame.self]
    else if (object.type === 'Super') [className, self] = [frame.owner.parent, frame.self]
    else if (object.type === 'Identifier') [className, self] = [fields[object.name], object.name]
    else if (object.type === 'MemberExpression' && object.object.type === 'ThisExpression') {
      ;[className, self] = [fields[object.property.name], `${frame.self}.${object.property.name}`]
    }
    if (className === undefined || className === '') return undefined
    const { owner, fn } = methodOf(className, property.name)
    if (!wanted.has(`${owner.name}.${property.name}`)) return undefined
    used.add(`${owner.name}.${property.name}`)
    // In a method of a class, `this` is an object of the field's class, which may extend it.
    const isSuper = object.type === 'Super'
    return { fn, self, owner, className: isSuper ? frame.className : className }
  }

  /** The text of a node, with the calls in it inlined. */
  function text(node, frame) {
    const edits = []
    collect(node, frame, edits)
    let [result, at] = ['', node.start]
    for (const edit of edits.sort((a, b) => a.start - b.start)) {
      result += code.slice(at, edit.start) + edit.text
      at = edit.end
    }
    return result + code.slice(at, node.end)
  }

  function collect(node, frame, edits) {
    const replaced = replacement(node, frame)
    if (replaced !== undefined) edits.push({ start: node.start, end: node.end, text: replaced })
    else for (const child of childrenOf(node)) collect(child, frame, edits)
  }

  /** The replacement of a node; undefined if only its children change. */
  function replacement(node, frame) {
    const { type } = node
    if (type === 'ThisExpression') return frame.self
    if (type === 'Identifier' && frame.values?.has(node.name)) return frame.values.get(node.name)
    if (type === 'MemberExpression' && !node.computed) {
      if (node.object.type === 'ThisExpression' && node.property.name === 'words') return 'words'
      return `${text(node.object, frame)}${node.optional ? '?.' : '.'}${node.property.name}`
    }
    if (type === 'CallExpression') return expression(node, frame)
    if (type === 'VariableDeclaration') return declaration(node, frame)
    if (type === 'ReturnStatement') return returned(node, frame)
    if (type === 'IfStatement') return tested(node, frame)
    if (type !== 'ExpressionStatement') return undefined
    const { expression: value } = node
    const call = calleeOf(value, frame)
    if (call !== undefined) return `{ ${block(call, value, frame, undefined)} }`
    if (
      value.type !== 'AssignmentExpression' ||
      value.operator !== '=' ||
      value.left.type !== 'Identifier'
    )
      return undefined
    const assigned = calleeOf(value.right, frame)
    return assigned && !isExpression(assigned.fn)
      ? `{ ${block(assigned, value.right, frame, value.left.name)} }`
      : undefined
  }

  const singleReturn = fn =>
    fn.body.type !== 'BlockStatement'
      ? fn.body
      : fn.body.body.length === 1 && fn.body.body[0].type === 'ReturnStatement'
        ? fn.body.body[0].argument
        : undefined
  const isExpression = fn => singleReturn(fn) !== undefined

  /** A call of a single expression, with its parameters replaced by simple arguments. */
  function expression(node, frame) {
    const call = calleeOf(node, frame)
    if (call === undefined || !isExpression(call.fn)) return undefined
    const value = singleReturn(call.fn)
    const uses = name =>
      [...nodesOf(value)].filter(part => part.type === 'Identifier' && part.name === name).length
    const isSimple = argument => argument.type === 'Identifier' || argument.type === 'Literal'
    const values = new Map()
    for (const [i, param] of call.fn.params.entries()) {
      const argument = node.arguments[i]
      if (!isSimple(argument) && uses(param.name) > 1) return undefined
      values.set(
        param.name,
        isSimple(argument) ? text(argument, frame) : `(${text(argument, frame)})`
      )
    }
    return `(${text(value, enter(call, frame, { values }))})`
  }

  /** The frame of a function that is inlined in another one. */
  function enter(call, frame, more) {
    const { declared, outside } = namesOf(call.fn)
    for (const name of outside) {
      if (frame.declared.has(name))
        throw new Error(`${name} means something else where a call is inlined`)
    }
    return {
      className: call.className ?? frame.className,
      owner: call.owner ?? frame.owner,
      self: call.self ?? frame.self,
      declared: new Set([...frame.declared, ...declared]),
      ...more
    }
  }

  /** The statements of a call. Its value is assigned to the variable `result`, if there is one. */
  function block(call, node, frame, result, leave) {
    const label = fresh()
    const names = [...call.fn.params.keys()].map(fresh)
    const isPlain = call.self === undefined || /^[\w$]+$/.test(call.self)
    const self = isPlain ? call.self : fresh()
    const outer = []
    if (!isPlain) outer.push(`${self} = ${call.self}`)
    const inner = []
    const assigned = assignedIn(call.fn)
    for (const [i, param] of call.fn.params.entries()) {
      if (node.arguments[i] === undefined)
        throw new Error(`an argument for ${param.name} is missing`)
      const value = text(node.arguments[i], frame)
      if (value === param.name && !assigned.has(param.name)) continue
      outer.push(`${names[i]} = ${value}`)
      inner.push(`${param.name} = ${names[i]}`)
    }
    const within = enter({ ...call, self }, frame, { result, leave: leave ?? `break ${label};` })
    if (leave !== undefined) within.root = frame.root
    const head = outer.length === 0 ? '' : `const ${outer.join(', ')};`
    const params = inner.length === 0 ? '' : `let ${inner.join(', ')};`
    const body =
      call.fn.body.type === 'BlockStatement'
        ? call.fn.body.body.map(statement => text(statement, within)).join('\n')
        : `${result === undefined ? '' : `${result} = `}${text(call.fn.body, within)};`
    return `${leave === undefined ? `${label}: ` : ''}{ ${head} { ${params}\n${body}\n} }`
  }

  function declaration(node, frame) {
    const [{ id, init }, second] = node.declarations
    if (second !== undefined || init === null) return undefined
    if (init.type === 'ThisExpression' && id.type === 'ObjectPattern') {
      const names = id.properties.map(({ key }) => key.name).filter(name => name !== 'words')
      return names.length === 0 ? '' : `const { ${names.join(', ')} } = ${frame.self};`
    }
    if (id.type === 'Identifier' && id.name === 'words') return ''
    const call = calleeOf(init, frame)
    if (call === undefined || isExpression(call.fn) || id.type !== 'Identifier') return undefined
    return `let ${id.name}; ${block(call, init, frame, id.name)}`
  }

  /** A return from an inlined function leaves its block. */
  function returned(node, frame) {
    const call = calleeOf(node.argument, frame)
    if (call !== undefined && !isExpression(call.fn)) {
      // It returns from the whole method, or leaves the same block.
      if (frame.root)
        return `{ ${block(call, node.argument, frame, undefined, 'return;')} return; }`
      return `{ ${block(call, node.argument, frame, frame.result)} ${frame.leave} }`
    }
    const value = node.argument === null ? 'void 0' : text(node.argument, frame)
    if (frame.root) return `return ${value};`
    if (frame.result !== undefined) return `{ ${frame.result} = ${value}; ${frame.leave} }`
    return node.argument === null || node.argument.type === 'Literal'
      ? frame.leave
      : `{ ${value}; ${frame.leave} }`
  }

  function tested(node, frame) {
    const isNegated = node.test.type === 'UnaryExpression' && node.test.operator === '!'
    const test = isNegated ? node.test.argument : node.test
    const call = calleeOf(test, frame)
    if (call === undefined || isExpression(call.fn)) return undefined
    const result = fresh()
    const otherwise = node.alternate === null ? '' : ` else { ${text(node.alternate, frame)} }`
    const condition = `${isNegated ? '!' : ''}${result}`
    return (
      `{ let ${result}; ${block(call, test, frame, result)} if (${condition}) { ` +
      `${text(node.consequent, frame)} }${otherwise} }`
    )
  }

  const methods = roots.map(name => {
    const { owner, node, fn } = methodOf(root, name)
    const { declared } = namesOf(fn)
    const frame = {
      className: root,
      owner,
      self: 'this',
      declared: new Set([...declared, 'words']),
      root: true
    }
    const params = fn.params.map(param => param.name).join(', ')
    const body = fn.body.body.map(statement => text(statement, frame)).join('\n')
    return {
      start: node.start,
      end: node.end,
      text: `${name}(${params}) { const words = this.words;\n${body}\n}`
    }
  })
  const unused = inline.filter(name => !used.has(name))
  if (unused.length > 0) throw new Error(`nothing in ${root} calls ${unused.join(', ')}`)
  return methods
}
