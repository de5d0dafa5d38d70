/**
 * The page of `offheap play`: the user types or clicks calls, and sees what each store does to the
 * heap.
 */

import type { PlacementName } from '../../placement/placement.js'
import { isPlacement } from '../../placement/policies.js'
import { humanBytes } from '../../sizes.js'
import { type Call, CallError, decodeCalls, lineOfCall, nameOf, parseCalls } from '../calls.js'
import { HEAP_SIZES, type PlayConfig } from '../config.js'
import { decodeLink, encodeLink, type LinkState } from '../link.js'
import { partAt } from '../picture.js'
import type { Instrument } from '../player.js'
import { PRESETS } from '../presets.js'
import { type Moment, Session } from '../session.js'
import { Sources } from '../sources.js'
import { describeRun } from '../words.js'
import { drawArrows } from './arrows.js'
import { BitsPane } from './bits-pane.js'
import { CodePane } from './code-pane.js'
import { find, make, say } from './elements.js'
import { Grid } from './grid.js'
import { openInstrument } from './instruments.js'
import { Lane } from './lane.js'
import { ProgramPane } from './program-pane.js'
import { type ScriptData, sourceOf } from './scripts.js'

/** The data embedded in the page. */
interface PageData {
  readonly config: PlayConfig
  readonly scripts: Readonly<Record<string, ScriptData>>
}

/** Milliseconds between steps while playing. */
const PLAY_INTERVAL = 700
/**
 * Milliseconds without a change after which the address is updated. Browsers limit how often a
 * page may do that.
 */
const LINK_DELAY = 400
/** The width of a word in the grid, in em. */
const WORD_WIDTH = 4.9

// V8 keeps ten frames by default, too few to reach from a store to the program. Other engines have
// no such limit.
Object.assign(Error, { stackTraceLimit: 24 })

const data: PageData = JSON.parse(find('#data', HTMLScriptElement).textContent ?? '')
const { config } = data
const sources = new Sources(
  Object.entries(data.scripts).map(([name, script]) => sourceOf(name, script))
)

const command = find('#command', HTMLInputElement)
const bytes = find('#bytes', HTMLInputElement)
const placement = find('#placement', HTMLSelectElement)
const against = find('#against', HTMLSelectElement)
const slabs = find('#slabs', HTMLInputElement)
const size = find('#size', HTMLSelectElement)
const preset = find('#preset', HTMLSelectElement)
const fills = find('#fills', HTMLInputElement)
const aside = find('#aside', HTMLInputElement)
const status = find('#status', HTMLElement)
const about = find('#about', HTMLElement)
const scroller = find('#scroll', HTMLElement)
const help = find('#help', HTMLDialogElement)

const grid = new Grid(find('#words', HTMLElement), at => select(at))
const arrows = find('#arrows', SVGSVGElement)
const codePane = new CodePane(sources)
const bitsPane = new BitsPane()
const program = new ProgramPane(moment => go(moment))

const standard: LinkState = {
  placement: config.placement,
  against: undefined,
  slabs: config.slabs,
  size: config.size,
  fills: true,
  calls: [],
  moment: { call: 0, step: 0 }
}

/**
 * The heaps. The first is the main one; a second one gets the same calls, and shows only its
 * strip.
 */
let lanes: readonly Lane[] = []
let selected = -1
let problem = ''
let playing: ReturnType<typeof setInterval> | undefined
let linkTimer: ReturnType<typeof setTimeout> | undefined

const main = (): Lane => lanes[0]

// ---- actions ------------------------------------------------------------------------------------

/** Starts over with these calls. */
function start(state: LinkState): void {
  problem = ''
  const { calls, moment } = state
  showOptions(state)
  try {
    const instruments: Instrument[] = [openInstrument(config, state)]
    if (state.against !== undefined && config.submission === undefined) {
      instruments.push(openInstrument(config, { ...state, placement: state.against }))
    }
    lanes = instruments.map(
      instrument => new Lane(new Session(instrument, state.fills), at => select(at))
    )
    find('#lanes', HTMLElement).replaceChildren(...lanes.map(lane => lane.element))
    for (const call of calls) for (const lane of lanes) lane.session.run(call)
    for (const lane of lanes) lane.follow(moment, lane === main())
  } catch (error) {
    fail(error)
  }
  selected = -1
  draw()
}

function fail(error: unknown): void {
  problem = error instanceof Error ? error.message : String(error)
}

/**
 * Runs calls at the current moment. With `inside`, stops before the first store of the first one.
 */
function run(calls: readonly Call[], inside: boolean): void {
  stop()
  problem = ''
  try {
    const at = main().session.now
    const first = at.step > 0 ? at.call + 1 : at.call
    for (const call of calls) for (const lane of lanes) lane.session.run(call)
    if (inside) for (const lane of lanes) lane.follow({ call: first, step: 0 }, lane === main())
  } catch (error) {
    fail(error)
  }
  draw()
}

function go(moment: Moment): void {
  problem = ''
  main().session.go(moment)
  follow()
}

/** Moves the other heap to the moment of the main one, and draws both. */
function follow(): void {
  for (const lane of lanes) if (lane !== main()) lane.follow(main().session.now, false)
  draw()
}

function step(move: (session: Session) => void): void {
  problem = ''
  move(main().session)
  follow()
}

function select(at: number): void {
  const part = partAt(main().session.picture(), at)
  selected = part === undefined || part.variable < 0 ? -1 : part.variable
  draw()
}

function togglePlay(): void {
  if (playing !== undefined) stop()
  else {
    if (isAtEnd()) go({ call: 0, step: 0 })
    playing = setInterval(() => {
      if (isAtEnd()) stop()
      step(session => session.stepForward())
    }, PLAY_INTERVAL)
  }
  draw()
}

function stop(): void {
  clearInterval(playing)
  playing = undefined
}

function isAtEnd(): boolean {
  const { now, runs } = main().session
  return now.call >= runs.length
}

// ---- drawing ------------------------------------------------------------------------------------

function draw(): void {
  // If the allocator can't be opened, there is nothing to draw and nothing to press.
  if (lanes.length === 0) {
    say(status, problem)
    status.classList.add('error')
    document.documentElement.dataset.ready = ''
    return
  }
  const { session } = main()
  const picture = session.picture()
  const { call, step: steps } = session.now
  const inside = session.runs[steps > 0 ? call : call - 1]
  const { last } = session
  const shown = last === undefined || last.run !== inside ? undefined : last.run.steps[last.index]
  const now = new Set(shown?.changes.map(change => change.word))
  const width = scroller.clientWidth
  const em = Number.parseFloat(getComputedStyle(document.documentElement).fontSize)
  grid.columns = width / em > 8 * WORD_WIDTH + 4 ? 8 : 4
  for (const lane of lanes) lane.draw(width, selected, lane === main() ? now : new Set())
  grid.draw(picture, {
    now,
    call: new Set(
      inside?.steps
        .slice(0, steps > 0 ? steps : undefined)
        .flatMap(({ changes }) => changes.map(({ word }) => word))
    ),
    showsAside: aside.checked,
    selected
  })
  const [change] = shown?.changes ?? []
  const stack = shown?.stack || inside?.error?.stack || ''
  codePane.show(
    stack,
    shown === undefined ? 'No store yet: make a call' : 'Your program made this store'
  )
  bitsPane.show(picture, change)
  program.draw(session)
  drawStatus()
  drawButtons()
  // All reads of the layout follow here, after all writes, so that it is computed only once.
  codePane.settle()
  program.settle()
  if (change !== undefined) grid.reveal(change.word)
  drawArrows(arrows, grid, picture)
  saveLink()
}

function drawStatus(): void {
  const { session } = main()
  const { step: done } = session.now
  const run = session.current
  status.classList.toggle('error', problem !== '' || (done === 0 && run?.error !== undefined))
  say(status, problem !== '' ? problem : describeMoment(session))
}

/** Describes the current moment in a sentence or two. */
function describeMoment(session: Session): string {
  const { call, step: done } = session.now
  const run = session.current
  const next = session.runs[call]
  if (run === undefined) {
    if (next === undefined) return 'An empty heap. Type a call, such as malloc(24).'
    return `Before ${lineOfCall(next.call, next.variable)}.`
  }
  if (done > 0) {
    const text = program.textsOf(session, call)[done - 1]
    return `${lineOfCall(run.call, run.variable)}, store ${done} of ${run.steps.length}: ${text}.`
  }
  const { trouble } = session.picture()
  return `${describeRun(run)}${trouble === '' ? '' : ` ${trouble}.`}`
}

function drawButtons(): void {
  const n = bytes.value === '' ? '24' : bytes.value
  const name = selected < 0 ? '' : nameOf(selected)
  say(find('#malloc', HTMLElement), `malloc(${n})`)
  say(find('#calloc', HTMLElement), `calloc(1, ${n})`)
  say(find('#aligned', HTMLElement), `aligned(64, ${n})`)
  say(find('#realloc', HTMLElement), `realloc(${name || '…'}, ${n})`)
  say(find('#free', HTMLElement), `free(${name || '…'})`)
  for (const id of ['#realloc', '#free']) find(id, HTMLButtonElement).disabled = name === ''
  const { now, runs } = main().session
  const isFirst = now.call === 0 && now.step === 0
  for (const id of ['#first', '#call-back', '#store-back'])
    find(id, HTMLButtonElement).disabled = isFirst
  for (const id of ['#store', '#call', '#last'])
    find(id, HTMLButtonElement).disabled = now.call >= runs.length
  const play = find('#play', HTMLButtonElement)
  say(play, playing === undefined ? 'Play' : 'Pause')
  document.documentElement.dataset.ready = ''
}

function showOptions(state: LinkState): void {
  if (config.submission === undefined) {
    placement.value = state.placement
    against.value = state.against ?? ''
    slabs.checked = state.slabs
    size.value = String(state.size)
  }
  fills.checked = state.fills
}

// ---- links --------------------------------------------------------------------------------------

function stateNow(): LinkState {
  const { session } = main()
  const isOwn = config.submission === undefined
  return {
    placement: isPlacement(placement.value) ? placement.value : config.placement,
    against: isOwn && isPlacement(against.value) ? against.value : undefined,
    slabs: isOwn && slabs.checked,
    size: isOwn ? Number(size.value) : config.size,
    fills: fills.checked,
    calls: session.runs.map(({ call }) => call),
    moment: session.now
  }
}

function saveLink(): void {
  clearTimeout(linkTimer)
  linkTimer = setTimeout(writeLink, LINK_DELAY)
}

function writeLink(): void {
  clearTimeout(linkTimer)
  history.replaceState(null, '', encodeLink(stateNow()))
}

function readLink(): void {
  const own = { ...standard, calls: decodeCalls(config.calls) }
  const state = { ...own, moment: { call: config.at ?? own.calls.length, step: 0 } }
  try {
    start(location.hash.length > 1 ? decodeLink(location.hash, state) : state)
  } catch (error) {
    start(state)
    fail(error)
    draw()
  }
}

// ---- input --------------------------------------------------------------------------------------

function typed(text: string, inside: boolean): void {
  try {
    const calls = parseCalls(text, main().session.variablesNow)
    if (calls.length === 0) return
    run(calls, inside)
    command.value = ''
  } catch (error) {
    if (!(error instanceof CallError)) throw error
    fail(error)
    draw()
  }
}

/** Runs the same calls on a new heap after a change of the options. */
function changed(): void {
  const state = stateNow()
  if (state.slabs && state.size < 65_536) start({ ...state, size: 65_536 })
  else start(state)
}

const press = (id: string, action: (event: MouseEvent) => void) => {
  find(id, HTMLButtonElement).addEventListener('click', action)
}

function listen(): void {
  find('#form', HTMLFormElement).addEventListener('submit', event => event.preventDefault())
  command.addEventListener('keydown', event => {
    if (event.key === 'Enter') typed(command.value, event.shiftKey)
    if (event.key === 'Escape') command.blur()
  })
  bytes.addEventListener('input', drawButtons)
  const amount = () => bytes.value || '24'
  press('#malloc', event => typed(`malloc ${amount()}`, event.shiftKey))
  press('#calloc', event => typed(`calloc 1 ${amount()}`, event.shiftKey))
  press('#aligned', event => typed(`aligned 64 ${amount()}`, event.shiftKey))
  press('#realloc', event => typed(`realloc ${nameOf(selected)} ${amount()}`, event.shiftKey))
  press('#free', event => typed(`free ${nameOf(selected)}`, event.shiftKey))
  press('#first', () => go({ call: 0, step: 0 }))
  press('#call-back', () => step(session => session.callBack()))
  press('#store-back', () => step(session => session.stepBack()))
  press('#store', () => step(session => session.stepForward()))
  press('#call', () => step(session => session.callForward()))
  press('#last', () => go({ call: Number.POSITIVE_INFINITY, step: 0 }))
  press('#play', togglePlay)
  press('#clear', () => start({ ...stateNow(), calls: [], moment: { call: 0, step: 0 } }))
  press('#theme', toggleTheme)
  press('#keys', () => help.showModal())
  press('#link', event => void copyLink(event))
  for (const element of [placement, against, slabs, size, fills])
    element.addEventListener('change', changed)
  aside.addEventListener('change', draw)
  preset.addEventListener('change', () => {
    const chosen = PRESETS[Number(preset.value)]
    if (chosen === undefined) return
    say(about, chosen.about)
    const calls = decodeCalls(chosen.calls)
    start({
      ...stateNow(),
      placement: chosen.placement ?? config.placement,
      against: chosen.against,
      slabs: chosen.slabs ?? false,
      size: chosen.size ?? config.size,
      calls,
      moment: { call: calls.length, step: 0 }
    })
    preset.value = ''
    preset.blur()
  })
  document.addEventListener('keydown', onKey)
  window.addEventListener('hashchange', readLink)
  window.addEventListener('resize', draw)
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw)
}

const KEYS: Readonly<Record<string, () => void>> = {
  ArrowRight: () => step(session => session.stepForward()),
  ArrowLeft: () => step(session => session.stepBack()),
  ArrowDown: () => step(session => session.callForward()),
  ArrowUp: () => step(session => session.callBack()),
  PageDown: () => step(session => session.callForward()),
  PageUp: () => step(session => session.callBack()),
  Home: () => go({ call: 0, step: 0 }),
  End: () => go({ call: Number.POSITIVE_INFINITY, step: 0 }),
  ' ': togglePlay,
  f: () => selected >= 0 && typed(`free ${nameOf(selected)}`, false),
  h: () => {
    aside.checked = !aside.checked
    draw()
  },
  t: toggleTheme,
  b: () => nextBlock(1),
  B: () => nextBlock(-1),
  '?': () => help.showModal(),
  '/': () => command.focus(),
  Escape: () => {
    selected = -1
    draw()
  }
}

function onKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return
  const { target, key } = event
  const action = KEYS[key]
  if (action === undefined) return
  // An empty command line does not need the arrow keys; other fields and buttons keep the keys that
  // they use.
  const isCommand = target === command && command.value === '' && /^(Arrow|Page)/.test(key)
  const isField = target instanceof HTMLInputElement || target instanceof HTMLSelectElement
  if (isField && !isCommand) return
  if (target instanceof HTMLButtonElement && key === ' ') return
  event.preventDefault()
  action()
}

/** Selects the next or previous block in address order. */
function nextBlock(by: 1 | -1): void {
  const blocks = main()
    .session.picture()
    .parts.filter(({ variable }) => variable >= 0)
  if (blocks.length === 0) return
  const at = blocks.findIndex(({ variable }) => variable === selected)
  selected = blocks[(at + by + blocks.length) % blocks.length].variable
  draw()
}

function toggleTheme(): void {
  const root = document.documentElement
  const isDark = matchMedia('(prefers-color-scheme: dark)').matches
  const shown = root.dataset.theme ?? (isDark ? 'dark' : 'light')
  root.dataset.theme = shown === 'dark' ? 'light' : 'dark'
  draw()
}

async function copyLink(event: MouseEvent): Promise<void> {
  writeLink()
  const button = event.currentTarget
  let said = 'The link is in the address bar'
  try {
    await navigator.clipboard.writeText(location.href)
    said = 'Copied'
  } catch {
    // Some browsers allow this on secure pages only.
  }
  if (button instanceof HTMLElement) say(button, said)
}

function fillOptions(): void {
  const option = (value: string, text: string) => {
    const element = make('option', '', text)
    element.setAttribute('value', value)
    return element
  }
  for (const [i, { name, placement, slabs }] of PRESETS.entries()) {
    // A lab's allocator has no placement to choose.
    if (config.submission !== undefined && (placement !== undefined || slabs)) continue
    preset.append(option(String(i), name))
  }
  const names: PlacementName[] = ['first-fit', 'best-fit', 'next-fit', 'segregated-fit']
  placement.append(...names.map(name => option(name, name)))
  against.append(option('', 'nothing'), ...names.map(name => option(name, name)))
  size.append(...HEAP_SIZES.map(bytes => option(String(bytes), humanBytes(bytes))))
}

fillOptions()
readLink()
if (lanes.length > 0) listen()
