/** Writes docs/faults.md. */
import type { Moment } from './kind.js'
import type { Tally } from './run.js'
import { HEAP_BYTES } from './scene.js'

export interface Table {
  readonly title: string
  /** Of the default heap and of the hardened one, in the same order. */
  readonly tallies: readonly (readonly [Tally, Tally])[]
}

export interface Circumstances {
  readonly times: number
  readonly seed: number
  readonly quarantine: number
  readonly placement: string
}

export function documentOf(
  tables: readonly Table[],
  { times, seed, quarantine, placement }: Circumstances
): string {
  const all = tables.flatMap(({ tallies }) => tallies)
  const hopeless = all.filter(([, { kind }]) => kind.hopeless !== undefined)
  const injections = all.flat().reduce((sum, tally) => sum + tally.times, 0)
  return `# Table of faults

What happens when a program misuses a heap: ${all.length} kinds of misuse, each injected
${times.toLocaleString('en')} times into a busy heap, at random places; fewer times where a number
follows the kind. No injection ended the process, hung, or threw an error without a code. The
command fails if one does, and if the hardened heap misses a kind that can be detected.

\`\`\`sh
# This table: ${injections.toLocaleString('en')} injections.
node test/check.js faults
# The same injections again.
OFFHEAP_FAULTS_SEED=${seed} node test/check.js faults
\`\`\`

Seed ${seed}, ${placement}, a heap of ${HEAP_BYTES / 1024} KiB with 10 to 60 used blocks; the
quarantine of the hardened heap has ${quarantine / 1024} KiB. After each injection the heap is
restored byte by byte. The columns show when the misuse was detected, and for which share of the
injections:

- **at once**: by the wrong call itself. A wrong write is never detected at once, because it goes to
  a typed array.
- **at the next use**: by the next call that frees the block or allocates its memory again.
- **later**: by \`check()\`, or when all blocks are freed.
- **missed**: not at all.

${tables.map(table => render(table, times)).join('\n')}
## What a hardened heap can't detect

${hopeless.map(([, { kind }]) => `- **${kind.name}.** ${kind.hopeless}`).join('\n')}

The hardened heap missed none of the other kinds. [The hardened heap](hardening.md) explains how it
works, and what it costs.
`
}

function render({ title, tallies }: Table, times: number): string {
  const rows = tallies.map(([plain, hardened]) => {
    const { name, note } = hardened.kind
    const few = hardened.times < times ? ` (${hardened.times.toLocaleString('en')} times)` : ''
    return (
      `| ${name}${few}${note === undefined ? '' : `; ${note}`} | ${cell(plain)} | ` +
      `${cell(hardened)} |`
    )
  })
  return `## ${title}\n\n| kind | default | hardened |\n| --- | --- | --- |\n${rows.join('\n')}\n`
}

const words: Readonly<Record<Moment, string>> = {
  'at once': 'at once',
  'next use': 'at the next use',
  check: 'later',
  missed: '**missed**'
}

const moments: readonly Moment[] = ['at once', 'next use', 'check', 'missed']

function cell({ moments: counts, times, codes }: Tally): string {
  if (times === 0) return 'has none'
  const parts = moments
    .filter(moment => counts[moment] > 0)
    .map(moment => `${words[moment]} ${share(counts[moment], times)}`)
  const names = codes.slice(0, 3).map(code => `\`${code.replace('ERR_OFFHEAP_', '')}\``)
  return `${parts.join(', ')}${names.length === 0 ? '' : ` – ${names.join(', ')}`}`
}

/** A share in percent; never rounded up to 100 or down to 0. */
function share(count: number, times: number): string {
  if (count === times) return '100 %'
  const percent = (100 * count) / times
  return `${Math.min(99.9, Math.max(0.1, percent)).toFixed(1)} %`
}
