/**
 * The page of `offheap play`: one HTML file that contains its style, its scripts and their
 * sources, and needs no network.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { OffheapError } from '../errors.js'
import { missingLabs, playFolder } from '../labs-package.js'
import { escapeHtml } from '../report/view-page.js'
import type { PlayConfig } from './config.js'

/** A script with an allocator, built by esbuild with the options of script.ts. */
export interface FramedScript {
  readonly code: string
  /** Its source map, as JSON. */
  readonly map: string
}

/**
 * Returns the whole page, for the package's own allocator or for a lab's. Throws
 * ERR_OFFHEAP_UNSUPPORTED if the page is not built.
 */
export function playPage(config: PlayConfig, submission?: FramedScript): string {
  const scripts: Record<string, FramedScript> =
    submission === undefined
      ? { engine: { code: readBuilt('engine.js'), map: readBuilt('engine.js.map') } }
      : { submission }
  const title = config.submission ?? 'offheap play'
  const data = JSON.stringify({
    config,
    scripts: Object.fromEntries(
      Object.entries(scripts).map(([name, { code, map }]) => [
        name,
        { map: trimmedMap(map), lines: code.split('\n').length }
      ])
    )
  }).replaceAll('<', '\\u003c')
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>${escapeHtml(title)}</title>
<style>${safe(readBuilt('main.css'))}</style>
</head>
<body>
${body(config)}
<script type="application/json" id="data">${data}</script>
${Object.values(scripts)
  .map(({ code }) => `<script>\n${safe(code)}</script>`)
  .join('\n')}
<script>${safe(readBuilt('main.js'))}</script>
</body>
</html>
`
}

function body({ submission }: PlayConfig): string {
  const isOwn = submission === undefined
  const hidden = isOwn ? '' : ' hidden'
  return `<header id="top" class="bar">
<h1>${isOwn ? 'offheap play' : escapeHtml(submission)}</h1>
<label${hidden}>placement <select id="placement"></select></label>
<label${hidden}>against <select id="against"></select></label>
<label${hidden}>heap <select id="size"></select></label>
<label${hidden}><input id="slabs" type="checkbox"> slabs</label>
<label>preset <select id="preset"><option value="">choose…</option></select></label>
<label${hidden} title="Show the heap's own header and the index of its placement">
<input id="aside" type="checkbox"> header, index</label>
<label title="Your program fills each block with the letter of its variable">
<input id="fills" type="checkbox"> fill</label>
<span class="bar last"><button id="link" type="button">Copy link</button>
<button id="theme" type="button">Light or dark</button>
<button id="keys" type="button">Keys</button></span>
<p id="about"></p>
</header>
<form id="form" class="bar">
<input id="command" type="text" autocomplete="off" autocapitalize="off" spellcheck="false"
placeholder="malloc(24)" aria-label="A call, such as malloc(24), free(a) or realloc(a, 60)">
<label>bytes <input id="bytes" type="number" min="0" value="24"></label>
<button id="malloc" type="button"></button><button id="calloc" type="button"></button>
<button id="aligned" type="button"${hidden}></button><button id="realloc" type="button"></button>
<button id="free" type="button"></button><button id="clear" type="button">Clear</button>
</form>
<div id="moment" class="bar">
<span id="steps" class="bar" role="group" aria-label="Steps">
<button id="first" type="button" aria-label="To the beginning">|◀</button>
<button id="call-back" type="button" aria-label="One call back">◀◀ call</button>
<button id="store-back" type="button" aria-label="One store back">◀ store</button>
<button id="store" type="button" aria-label="One store forward">store ▶</button>
<button id="call" type="button" aria-label="One call forward">call ▶▶</button>
<button id="last" type="button" aria-label="To the end">▶|</button>
<button id="play" type="button">Play</button></span>
<p id="status" role="status"></p>
</div>
<main>
<section id="heap" class="panel" aria-label="Heap">
<div id="lanes"></div>
<div id="scroll" tabindex="0" aria-label="The words of the heap">\
<div id="words"></div><svg id="arrows" aria-hidden="true"></svg></div>
</section>
<div id="side">
<section id="code" class="panel" aria-label="Source">
<div id="chain"></div><div id="place"></div>
<div id="lines" tabindex="0" aria-label="Lines of source"></div>
</section>
<section id="bits" class="panel"><h2></h2><div class="body"></div></section>
<div id="lists">
<section class="panel"><h2>Program</h2><ol id="calls"></ol></section>
<section class="panel"><h2 id="stores-of">Stores</h2><ol id="stores"></ol></section>
</div>
</div>
</main>
${HELP}`
}

const HELP = `<dialog id="help" aria-label="Keys"><h1>Keys</h1><dl>
<dt><kbd>/</kbd></dt><dd>type a call; <kbd>Enter</kbd> runs it, <kbd>Shift</kbd> <kbd>Enter</kbd>
stops before its first store</dd>
<dt><kbd>←</kbd> <kbd>→</kbd></dt><dd>one store</dd>
<dt><kbd>↑</kbd> <kbd>↓</kbd>, <kbd>PgUp</kbd> <kbd>PgDn</kbd></dt><dd>one call</dd>
<dt><kbd>Home</kbd> <kbd>End</kbd></dt><dd>the beginning, the end</dd>
<dt><kbd>Space</kbd></dt><dd>play, pause</dd>
<dt><kbd>b</kbd> <kbd>B</kbd></dt><dd>select the next block, the previous block</dd>
<dt><kbd>f</kbd></dt><dd>free the selected block</dd>
<dt><kbd>h</kbd></dt><dd>show the heap's header and index</dd>
<dt><kbd>t</kbd></dt><dd>light or dark</dd>
<dt><kbd>Esc</kbd></dt><dd>select nothing; leave the command line</dd></dl>
<p>Calls: <code>malloc(24)</code>, <code>calloc(4, 8)</code>, <code>aligned(64, 24)</code>,
<code>realloc(a, 60)</code>, <code>free(a)</code>. Parentheses are optional. Separate several calls
with semicolons. Instead of a block, you can give a number, such as <code>free(456)</code>.</p>
<p>In a header, P means that the left neighbour is used, and U that the block is used. The address
of this page contains everything that you did.</p>
<form method="dialog"><button>Close</button></form></dialog>`

/** Escapes closing tags, which would end a script or style element early. */
function safe(code: string): string {
  return code.replace(/<\/(?=script|style)/gi, '<\\/')
}

/** Returns the fields of a source map that the page reads. */
function trimmedMap(map: string): unknown {
  const { sources, sourcesContent, mappings } = JSON.parse(map)
  return { sources, sourcesContent, mappings }
}

/** Reads a file that `npm run build:lib` builds from page/. */
function readBuilt(name: string): string {
  const file = join(playFolder, name)
  try {
    return readFileSync(file, 'utf8')
  } catch {
    throw new OffheapError(
      'ERR_OFFHEAP_UNSUPPORTED',
      missingLabs() ?? `the page's ${name} is not built: no ${file}. Run npm run build:lib`
    )
  }
}
