/** The few things that every part of the page needs of the document. */

/** The first element that matches, which must be there and be of that class. */
export function find<T extends Element>(selector: string, type: new () => T): T {
  const found = document.querySelector(selector)
  if (!(found instanceof type)) throw new Error(`the page has no ${selector}`)
  return found
}

/** A new element with a class and text. */
export function make(name: string, className = '', text = ''): HTMLElement {
  const element = document.createElement(name)
  if (className !== '') element.className = className
  if (text !== '') element.textContent = text
  return element
}

/** A new element of a drawing. */
export function svg<Name extends keyof SVGElementTagNameMap>(
  name: Name,
  attributes: Readonly<Record<string, string>>
): SVGElementTagNameMap[Name] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  return element
}

/** Blocks have so many colours, in turn. */
const COLORS = 6

/** The colour of a variable's block, as the style sheet has it. */
export function colorOf(variable: number): string {
  return `var(--block-${variable % COLORS})`
}

/** Sets text only when it is another, so that nothing is laid out again for nothing. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}
