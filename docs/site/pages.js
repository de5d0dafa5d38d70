/** A TypeDoc plugin: a page is named by its first heading, and stands in a group by what it is. */
import { Converter } from 'typedoc'

const background = ['benchmarks', 'reading-benchmarks', 'comparison', 'faults', 'lab']

function groupOf(path) {
  if (/\/recipes(\/[^/]+)?\.md$/.test(path)) return 'Recipes'
  return background.some(name => path.endsWith(`/${name}.md`)) ? 'Background' : 'Guide'
}

export function load(app) {
  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_context, page) => {
    page.frontmatter.group = groupOf(page.project.files.getReflectionPath(page))
    const heading = /^# (.+)$/m.exec(page.content.map(part => part.text).join(''))
    if (heading !== null) page.name = heading[1].replaceAll('`', '')
  })
}
