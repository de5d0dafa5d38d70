/**
 * Measures the similarity of two programs, regardless of names and comments. It uses fingerprints
 * by winnowing: Schleimer, Wilkerson and Aiken, "Winnowing: Local Algorithms for Document
 * Fingerprinting", SIGMOD 2003.
 */

/** The tokens of a fingerprint, and the hashes of a window, of which the least is kept. */
const GRAM = 12
const WINDOW = 8
const TOKEN =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|[A-Za-z_$][\w$]*|\d[\w.]*|'[^'\n]*'|"[^"\n]*"|`[^`]*`|[^\s\w]/g
const KEPT = new Set(
  'if else for while do return break continue function const let class new switch case ' +
    'default throw try catch'.split(' ')
)

/** Returns the fingerprints of a program. */
export function fingerprints(source: string): Set<number> {
  const tokens = (source.match(TOKEN) ?? [])
    .filter(token => !token.startsWith('//') && !token.startsWith('/*'))
    .map(token => (/^[A-Za-z_$]/.test(token) && !KEPT.has(token) ? 'x' : token))
  const hashes: number[] = []
  for (let i = 0; i + GRAM <= tokens.length; i++)
    hashes.push(hash(tokens.slice(i, i + GRAM).join(' ')))
  const kept = new Set<number>()
  for (let i = 0; i + WINDOW <= hashes.length; i++)
    kept.add(Math.min(...hashes.slice(i, i + WINDOW)))
  return kept
}

/**
 * Returns the share of the smaller program's fingerprints that the other one has too, 0 … 1.
 * `common` ones, such as the starter's, don't count.
 */
export function similarity(
  one: ReadonlySet<number>,
  other: ReadonlySet<number>,
  common: ReadonlySet<number>
): number {
  const own = (set: ReadonlySet<number>) => [...set].filter(each => !common.has(each))
  const [a, b] = [own(one), own(other)]
  const least = Math.min(a.length, b.length)
  return least === 0 ? 0 : a.filter(each => other.has(each)).length / least
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return value >>> 0
}
