/** The results as a picture: a panel of bars for each size, with the figures beside them. */
import { humanBytes } from '../sizes.js'
import { labelOf } from './contenders.js'
import { headline, humanTime, inWords, longestBar, type Results } from './results.js'

const WIDTH = 860
const LEFT = 250
const BAR_WIDTH = 330
const ROW = 22
const OURS = '#1864ab'
const OTHERS = '#adb5bd'

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

function line(x: number, y: number, text: string, attributes = ''): string {
  return (
    `<text x="${x}" ` +
    `y="${y}"${attributes === '' ? '' : ` ${attributes}`}>${escaped(text)}</text>`
  )
}

/** An SVG document. */
export function svgChart(results: Results): string {
  const parts = [
    line(20, 30, headline(results), 'font-size="16" font-weight="bold"'),
    line(
      20,
      50,
      `Node ${results.node}, ${results.cpu}; time for one block, shorter is better`,
      'fill="#495057"'
    )
  ]
  let y = 84
  for (const { size, figures } of results.sizes) {
    parts.push(line(20, y, humanBytes(size), 'font-weight="bold"'))
    y += 8
    const longest = longestBar(figures)
    for (const figure of figures) {
      const label = labelOf(figure.contender, results)
      const isOurs = label.startsWith('offheap')
      const share = Number.isNaN(figure.ns) ? 0 : Math.min(1, figure.ns / longest)
      const length = Math.max(1, Math.round(share * BAR_WIDTH))
      const cut =
        figure.ns > longest
          ? `<path d="M${LEFT + length} ${y + 1}l-8 ${ROW - 2}" stroke="white" stroke-width="3"/>`
          : ''
      parts.push(
        line(LEFT - 8, y + 15, label, 'text-anchor="end"'),
        `<rect x="${LEFT}" y="${y + 4}" width="${length}" height="${ROW - 8}" ` +
          `fill="${isOurs ? OURS : OTHERS}"/>${cut}`,
        line(
          LEFT + length + 6,
          y + 15,
          [humanTime(figure.ns), inWords(figure)].filter(text => text !== '').join(', ')
        )
      )
      y += ROW
    }
    y += 26
  }
  const frame =
    `xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" ` +
    `height="${y}"`
  return [
    `<svg ${frame} font-family="sans-serif" font-size="12" fill="#212529">`,
    '<rect width="100%" height="100%" fill="white"/>',
    ...parts,
    '</svg>',
    ''
  ].join('\n')
}
