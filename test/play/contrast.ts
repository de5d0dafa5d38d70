/**
 * The contrast of every text that a page shows, measured there: WCAG 2.2, 1.4.3. Returns the texts
 * whose ratio is too small, with it. The function runs in the page, so it stands by itself.
 */
export const LOW_CONTRAST = `(() => {
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(c => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4))
    return 0.2126 * x + 0.7152 * y + 0.0722 * z
  }
  const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  const rgb = color => {
    context.clearRect(0, 0, 1, 1)
    context.fillStyle = color
    context.fillRect(0, 0, 1, 1)
    return [...context.getImageData(0, 0, 1, 1).data]
  }
  const backgroundOf = element => {
    for (let at = element; at !== null; at = at.parentElement) {
      if (at instanceof SVGElement) {
        const rect = at.parentElement?.querySelector(':scope > rect')
        if (rect) return rgb(getComputedStyle(rect).fill)
        continue
      }
      const color = rgb(getComputedStyle(at).backgroundColor)
      if (color[3] === 255) return color
    }
    return [255, 255, 255]
  }
  const found = []
  for (const element of document.querySelectorAll('body *')) {
    const text = [...element.childNodes].filter(node => node.nodeType === 3).map(node => node.data.trim()).join('')
    if (text === '' || element.closest('script, [hidden], title, option, dialog:not([open])') || element.disabled) continue
    if (!element.checkVisibility()) continue
    const style = getComputedStyle(element)
    const ink = rgb(element instanceof SVGElement ? style.fill : style.color)
    const [a, b] = [luminance(ink), luminance(backgroundOf(element))].sort((x, y) => y - x)
    const ratio = (a + 0.05) / (b + 0.05)
    const size = parseFloat(style.fontSize)
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700)
    if (ratio < (isLarge ? 3 : 4.5)) found.push(text.slice(0, 40) + ' (' + element.className + '): ' + ratio.toFixed(2))
  }
  return [...new Set(found)]
})()`
