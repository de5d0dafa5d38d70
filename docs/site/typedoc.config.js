/**
 * One site of the API reference, from the docstrings, and of the pages in docs/. `npm run docs`
 * builds it into docs/.site.
 */
import { readdirSync } from 'node:fs'

const docs = new URL('../', import.meta.url)

/**
 * In the order in which one reads them. A page that is not named here comes behind those that are.
 */
const order = [
  'getting-started.md',
  'installing.md',
  'platforms.md',
  'lifetimes.md',
  'text-and-scopes.md',
  'choosing-a-placement.md',
  'heap-map.md',
  'heap-files.md',
  'sharing.md',
  'memory-layout.md',
  'one-malloc.md',
  'play.md',
  'hardening.md',
  'observability.md',
  'limits.md',
  'troubleshooting.md',
  'recipes.md',
  'recipes/files-and-sockets.md',
  'recipes/zero-copy-parsing.md',
  'recipes/log-parser.md',
  'recipes/pixels.md',
  'recipes/struct-arrays.md',
  'recipes/lru-cache.md',
  'recipes/http-cache.md',
  'recipes/cache-handler.md',
  'recipes/durable-index.md',
  'recipes/threads.md',
  'recipes/shared-cache.md',
  'recipes/webassembly.md',
  'benchmarks.md',
  'reading-benchmarks.md',
  'comparison.md',
  'faults.md',
  'lab.md',
  'lab-verdicts.md'
]

const found = ['', 'recipes/'].flatMap(folder =>
  readdirSync(new URL(folder, docs)).flatMap(name => (name.endsWith('.md') ? [folder + name] : []))
)
const pages = found.filter(name => name !== 'index.md') // the front page
const place = page => (order.includes(page) ? order.indexOf(page) : order.length)

export default {
  name: 'offheap',
  entryPoints: ['api.ts', 'map.ts'],
  tsconfig: 'tsconfig.json',
  readme: '../index.md',
  projectDocuments: pages.toSorted((a, b) => place(a) - place(b)).map(page => `../${page}`),
  plugin: ['./pages.js'],
  customCss: 'site.css',
  favicon: 'favicon.svg',
  out: '../.site',
  sort: ['source-order'],
  sortEntryPoints: false,
  excludePrivate: true,
  excludeExternals: true,
  // Links into a repository need to know where it is published.
  disableSources: true,
  disableGit: true,
  searchInDocuments: true,
  searchInComments: true,
  navigation: { includeGroups: true },
  groupOrder: [
    'Guide',
    'Recipes',
    'Background',
    'Modules',
    'Classes',
    'Constructors',
    'Methods',
    'Properties',
    'Accessors',
    '*'
  ],
  validation: { notExported: true, invalidLink: true, invalidPath: true, rewrittenLink: true },
  treatWarningsAsErrors: true
}
