/** The hand-written pages and their contents. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './package.js'

export interface Sample {
  /** The page and the line, such as `docs/lifetimes.md:12`. */
  readonly place: string
  readonly text: string
}

/** The pages by their paths from the root, README first. */
export const pages: readonly string[] = [
  'README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.md') && !/(^|\/)(node_modules|\.site)\//.test(name))
    .map(name => `docs/${name}`)
    .toSorted()
]

export function readPage(page: string): string {
  return readFileSync(join(root, page), 'utf8')
}

/** The JavaScript and TypeScript of a page. */
export function samplesOf(page: string): Sample[] {
  const text = readPage(page)
  return [...text.matchAll(/^```(?:js|ts|javascript|typescript|mjs)\b.*\n([\s\S]*?)^```/gm)].map(
    match => ({
      place: `${page}:${text.slice(0, match.index).split('\n').length}`,
      text: match[1] ?? ''
    })
  )
}

/**
 * The file and the text of an excerpt, if the first line names the file: `// from lru-cache.js`.
 */
export function excerptOf(sample: Sample): { file: string; text: string } | undefined {
  const [, file, text] = sample.text.match(/^\/\/ from (\S+)\n([\s\S]*)$/) ?? []
  return file === undefined || text === undefined ? undefined : { file, text }
}

/** The expected output of a sample: the comment after each console.log, one line each. */
export function promised(text: string): string[] {
  return [...text.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map(([, comment = '']) => comment)
}

/** The anchors of a page: its headings as GitHub and TypeDoc name them. */
export function anchorsOf(text: string): string[] {
  return [...withoutCode(text).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-')
  )
}

/** The targets of a page's links and pictures. */
export function linksOf(text: string): string[] {
  return [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
}

function withoutCode(text: string): string {
  return text.replace(/^```[\s\S]*?^```/gm, '')
}
