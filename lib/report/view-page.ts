/**
 * The page of `offheap view`: one HTML file with its style, script and data, which needs no
 * network.
 */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { OffheapError } from '../errors.js'
import { SIZE_COLORS, SLAB_COLORS, type SlabColors } from './size-classes.js'
import type { Timeline } from './timeline.js'
import type { ViewSource } from './view-data.js'
import { encodeView } from './view-encode.js'

/**
 * Built by `npm run build:lib` from page/; the same file whether this module runs from lib or from
 * dist.
 */
const PAGE = new URL('../../dist/report/page/', import.meta.url)

/**
 * The whole page, for one allocator or two. Throws ERR_OFFHEAP_UNSUPPORTED if its script is not
 * built.
 */
export function viewPage(source: ViewSource): string {
  const { trace, timelines } = source
  const names = timelines.map(timeline => timeline.label).join(' and ')
  const data = JSON.stringify(encodeView(source)).replaceAll('<', '\\u003c')
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>${escapeHtml(`${trace.name}: ${names}`)}</title>
<style>${inline('main.css')}${colors()}</style>
</head>
<body>
<header><h1>${escapeHtml(trace.name)}</h1><span id="about"></span>
<button id="theme" type="button">Light or dark</button></header>
<main>
${CONTROLS}
<div id="panels"></div>
${footer(timelines)}
</main>
<div id="tip" role="tooltip" hidden></div>
${PANEL}
<script type="application/json" id="data">${data}</script>
<script>${inline('main.js')}</script>
</body>
</html>
`
}

const CONTROLS = `<div id="controls">
<div class="bar" role="group" aria-label="Time">
<button id="first" type="button" aria-label="First operation">|◀</button>
<button id="back" type="button" aria-label="One operation back">◀</button>
<button id="play" type="button" aria-label="Play">▶</button>
<button id="step" type="button" aria-label="One operation forward">▶|</button>
<button id="last" type="button" aria-label="Last operation">▶▶|</button>
<button id="peak" type="button">Peak</button>
<input id="scrubber" type="range" min="0" max="0" value="0" step="1" aria-label="Operation">
<label>operation <input id="operation" type="number" min="0" value="0"></label>
<label>speed <select id="speed">
<option value="2">2 a second</option><option value="10" selected>10 a second</option>
<option value="60">60 a second</option><option value="1000">1,000 a second</option>
<option value="all">all in 30 seconds</option></select></label>
<button id="zoom-in" type="button" aria-label="Closer in time">+</button>
<button id="zoom-out" type="button" aria-label="Wider in time">−</button>
<button id="whole" type="button">Whole trace</button>
</div>
<p id="moment" role="status">Reading the data…</p>
</div>`

const key = (color: string, text: string) =>
  `<span class="key"><i style="background:var(--${color})"></i>${text}</span>`
const curve = (color: string, text: string, dashed = '') =>
  `<span class="key"><i class="line${dashed}" ` +
  `style="border-color:var(--${color})"></i>${text} <b data-say="${color}"></b></span>`

const ROWS_LABEL =
  'A part of the heap: blocks with their headers, slots of slabs, free blocks and the arrows ' +
  'of the free list'
const CURVES_LABEL = 'Curves over time: payload, heap size, utilization and external fragmentation'

const PANEL = `<template id="panel"><section class="panel">
<div class="title"><h2></h2><span class="said" data-say="result"></span></div>
<div class="parts">
<section class="of-map"><h3>Address, from the heap's beginning, against time</h3>
<canvas class="map" role="img"
aria-label="Address against time: every block, from its allocation to its free"></canvas>
<div class="frame"></div></section>
<section class="of-heap">
<h3>The heap at this moment, <span data-say="blocks"></span> blocks in use</h3>
<canvas class="strip" role="img"
aria-label="The whole heap in one strip, with the part that is shown below"></canvas>
<canvas class="rows" role="img" aria-label="${ROWS_LABEL}"></canvas>
<div class="bar small"><button class="lower" type="button">Lower</button>
<button class="higher" type="button">Higher</button>
<button class="closer" type="button">Closer</button>
<button class="wider" type="button">Wider</button>
<label><input class="follow" type="checkbox" checked> follow the operation</label></div>
<p class="said" data-say="list"></p>
<p class="said" data-say="slabs"></p>
<p class="said" data-say="target" role="status"></p></section>
<section class="of-curves"><h3>What the heap holds and wastes</h3>
<div class="keys">${curve('payload', 'payload')}${curve('heap', 'heap')}
${curve('utilization', 'utilization', ' dashed')}
${curve('fragmentation', 'external fragmentation')}</div>
<canvas class="curves" role="img" aria-label="${CURVES_LABEL}"></canvas></section>
</div></section></template>`

const SLAB_KEYS = `<div class="keys" aria-label="Colours of slabs">
Slabs: ${key('slot', 'used slot')}
<span class="key"><i class="slot-free"></i>free slot</span>
<span class="key"><i class="granule"></i>room for a slab</span></div>
<p>Small requests get slots. A slab is 512 bytes, divided into slots of one size without headers;
slabs are in chunks, which are blocks of the heap. Free slots are not in the free list, and don't
count in external fragmentation.</p>`

const BETWEEN_KEY = key('between', 'no payload: headers, footers, padding or free')
const blockKeys = (timelines: readonly Timeline[]) => `\
${key('header', timelines.some(hasFooters) ? 'header, footer' : 'header')}
${key('slack', 'slack: rounding, remainders')}${key('free', 'free')}
${key('free-edge', 'in the free list, with arrows in list order')}`
const hasFooters = ({ footerBytes }: Timeline): boolean => footerBytes > 0

const footer = (timelines: readonly Timeline[]) => `<footer>
<div class="keys" aria-label="Colours">Blocks by size: <span id="sizes" class="keys"></span>
${timelines.some(({ wholeBlocks }) => wholeBlocks) ? blockKeys(timelines) : ''}
${timelines.every(({ wholeBlocks }) => wholeBlocks) ? '' : BETWEEN_KEY}
<span class="key"><i class="plot"></i>outside the heap</span></div>
${timelines.some(({ slabs }) => slabs !== undefined) ? SLAB_KEYS : ''}
<p>Utilization is the peak payload so far, divided by the largest heap so far. External
fragmentation is 1 − the largest free block, divided by all free bytes between the blocks. Click a
plot to go there, drag over the map to zoom in, point at a block for details.</p>
<p><kbd>←</kbd> <kbd>→</kbd> one operation, with <kbd>Shift</kbd> 100,
<kbd>PgUp</kbd> <kbd>PgDn</kbd> 1,000; <kbd>Home</kbd> <kbd>End</kbd>; <kbd>Space</kbd> play;
<kbd>p</kbd> peak; <kbd>+</kbd> <kbd>−</kbd> <kbd>0</kbd> zoom;
<kbd>n</kbd> <kbd>N</kbd> along the free list; <kbd>b</kbd> <kbd>B</kbd> from block to block;
<kbd>f</kbd> follow; <kbd>t</kbd> light or dark; <kbd>Esc</kbd> points at nothing.</p>
</footer>`

function inline(name: string): string {
  // Inside a script or style element only its own closing tag could end it early.
  return readBuilt(name).replace(/<\/(?=script|style)/gi, '<\\/')
}

function readBuilt(name: string): string {
  const file = new URL(name, PAGE)
  try {
    return readFileSync(file, 'utf8')
  } catch {
    throw new OffheapError(
      'ERR_OFFHEAP_UNSUPPORTED',
      `the page's ${name} is not built: no ${fileURLToPath(file)}. Run npm run build:lib`
    )
  }
}

/** The colours of blocks and slabs as custom properties. */
function colors(): string {
  const list = (name: string, colors: readonly string[]) =>
    colors.map((color, i) => `--${name}-${i}:${color};`).join('')
  const named = ({ slot, slotInk, slotFree, slotLines, granule, granuleLines }: SlabColors) =>
    `--slot:${slot};--slot-ink:${slotInk};--slot-free:${slotFree};--slot-lines:${slotLines};` +
    `--granule:${granule};--granule-lines:${granuleLines};`
  const light =
    list('size', SIZE_COLORS.light) +
    list('size-ink', SIZE_COLORS.lightInk) +
    named(SLAB_COLORS.light)
  const dark =
    list('size', SIZE_COLORS.dark) + list('size-ink', SIZE_COLORS.darkInk) + named(SLAB_COLORS.dark)
  return (
    `:root{${light}}@media(prefers-color-scheme:dark){:root:not([data-theme=light]){${dark}}}` +
    `:root[data-theme=dark]{${dark}}`
  )
}

/** Escapes text for an element or a quoted attribute. */
export function escapeHtml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return text.replace(/[&<>"]/g, character => entities[character])
}
