/**
 * Bundles the heap and its engine into one file, in which every function is a constant that V8 can
 * inline. First fit and segregated fit each get an allocator of their own, in which the engine's
 * calls are inlined (inline.js).
 */
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import { parseAst } from 'rolldown/parseAst'
import { writeOut } from './inline.js'

const dist = join(dirname(fileURLToPath(import.meta.url)), '../../dist')
const file = join(dist, 'heap/heap.js')

/** The slow paths of slabs, which are the same for every policy, are inlined in place. */
const SLABS = {
  root: 'Slabs',
  roots: ['refill', 'release', 'reclaim'],
  fields: { slots: 'Slots', due: 'Due' },
  inline: [
    'Slabs.reopen',
    'Slabs.markFull',
    'Slabs.setCurrent',
    'Slabs.push',
    'Slabs.append',
    'Slabs.setFlags',
    'Slabs.classOf',
    'Slabs.descriptorOf',
    'Slabs.verifyListed',
    'Slots.holds',
    'Due.countFreed'
  ]
}

/** The calls to inline in every allocator. */
const ENGINE = [
  'Allocator.serve',
  'Allocator.serveSlot',
  'Allocator.release',
  'Allocator.resizeBlock',
  'Allocator.resizeSlot',
  'Allocator.copy',
  'Blocks.place',
  'Blocks.extend',
  'Blocks.count',
  'Blocks.free',
  'Blocks.coalesce',
  'Blocks.isUsed',
  'Blocks.resizeInPlace',
  'Blocks.grow',
  'Slabs.release',
  'Slabs.reopen',
  'Slabs.markFull',
  'Slabs.setCurrent',
  'Slabs.push',
  'Slabs.setFlags',
  'Slabs.classOf',
  'Slabs.descriptorOf',
  'Slabs.granuleOf',
  'Due.countFreed',
  'Slots.covers',
  'Slots.holds',
  'Slots.next',
  'Slots.take',
  'Slots.give',
  'sizeOf',
  'pointerOf',
  'blockOf',
  'wordsFor',
  'writeFree',
  'link',
  'unitOf'
]

const policy = (name, base, inline) => ({
  root: 'Allocator',
  roots: ['allocate', 'free', 'resize', 'move'],
  fields: { blocks: 'Blocks', policy: name, slabs: 'Slabs', slots: 'Slots', due: 'Due' },
  inline: [
    ...ENGINE,
    `${name}.find`,
    ...['put', 'remove', 'split', 'merge'].map(verb => `${base}.${verb}`),
    ...inline
  ]
})

const POLICIES = {
  'first-fit': policy('FirstFit', 'CardIndex', [
    'CardIndex.raise',
    'classOf',
    'endOf',
    'unlink',
    'relink'
  ]),
  'segregated-fit': policy('SegregatedFit', 'SegregatedFit', [
    'SizeClasses.classOf',
    'SizeClasses.sentinelOf',
    'SizeClasses.mark',
    'SizeClasses.unmark',
    'maskOf'
  ])
}

const bundle = await rolldown({
  input: file,
  platform: 'node',
  external: id =>
    /\/(errors|events|memory\/[\w-]+|sharing\/(heap-file|roots|superblock))\.js$/.test(id),
  logLevel: 'silent'
})
const { output } = await bundle.generate({ format: 'esm' })
await bundle.close()
const [{ code }] = output

/** The code with the methods replaced. */
function replaced(code, methods) {
  let [result, at] = ['', 0]
  for (const { start, end, text } of methods.sort((a, b) => a.start - b.start)) {
    result += code.slice(at, start) + text
    at = end
  }
  return result + code.slice(at)
}

const OPEN = 'new Allocator(words, header, host)'
const [before, after, ...more] = replaced(code, writeOut(code, SLABS)).split(OPEN)
if (after === undefined || more.length > 0)
  throw new Error('the heap does not open its allocator where expected')
const classes = Object.entries(POLICIES).map(
  ([name, plan]) =>
    `'${name}': class extends Allocator {\n${writeOut(code, plan)
      .map(({ text }) => text)
      .join('\n')}\n}`
)
const all = `${before}new (allocators[header.policy.name] ?? Allocator)(words, header, host)${after}
/** The allocators of these policies, with the calls of the engine inlined. */
const allocators = {
${classes.join(',\n')}
};
`
parseAst(all)
writeFileSync(file, all)
