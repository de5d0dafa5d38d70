/** A TypeDoc plugin: a page is named by its first heading, and stands in a group by what it is. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Converter, RendererEvent } from 'typedoc'
import { playPage } from '../../dist/play/play-page.js'

const background = [
  'benchmarks',
  'reading-benchmarks',
  'comparison',
  'faults',
  'lab',
  'lab-verdicts'
]

function groupOf(path) {
  if (/\/recipes(\/[^/]+)?\.md$/.test(path)) return 'Recipes'
  return background.some(name => path.endsWith(`/${name}.md`)) ? 'Background' : 'Guide'
}

/** Pages lie in a folder of their own, one below the site. */
const OPEN_PLAY = '\n\n<a href="../play.html">Open the page here.</a>\n'

export function load(app) {
  // The page of `offheap play` is part of the site; docs/play.md leads there.
  app.renderer.on(RendererEvent.END, ({ outputDirectory }) => {
    const page = playPage({ placement: 'first-fit', slabs: false, size: 4096, calls: '' })
    writeFileSync(join(outputDirectory, 'play.html'), page)
  })
  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_context, page) => {
    const path = page.project.files.getReflectionPath(page)
    page.frontmatter.group = groupOf(path)
    const heading = /^# (.+)$/m.exec(page.content.map(part => part.text).join(''))
    if (heading !== null) page.name = heading[1].replaceAll('`', '')
    if (path.endsWith('/play.md')) page.content.push({ kind: 'text', text: OPEN_PLAY })
  })
}
