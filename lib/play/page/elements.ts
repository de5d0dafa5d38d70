/** Helpers for the elements of the page. */

/** Returns the first element that matches. Throws if there is none of this class. */
export function find<T extends Element>(selector: string, type: new () => T): T {
  const found = document.querySelector(selector)
  if (!(found instanceof type)) throw new Error(`the page has no ${selector}`)
  return found
}

/** Creates an element with a class and text. */
export function make(name: string, className = '', text = ''): HTMLElement {
  const element = document.createElement(name)
  if (className !== '') element.className = className
  if (text !== '') element.textContent = text
  return element
}

/** Creates an SVG element. */
export function svg<Name extends keyof SVGElementTagNameMap>(
  name: Name,
  attributes: Readonly<Record<string, string>>
): SVGElementTagNameMap[Name] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  return element
}

/** The number of colours for blocks. */
const COLORS = 6

/** Returns the colour of a variable's block, as a CSS variable. */
export function colorOf(variable: number): string {
  return `var(--block-${variable % COLORS})`
}

/** Sets the text of an element only if it differs, to avoid a needless layout. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}
