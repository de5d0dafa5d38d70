/**
 * Measures the contrast of every text on a page: WCAG 2.2, 1.4.3. Returns the texts whose ratio is
 * too small, and the ratios. The script runs in the page, so it can't import anything.
 */
export const LOW_CONTRAST = `(() => {
  const linear = c => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(byte => linear(byte / 255))
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
    const texts = [...element.childNodes].filter(node => node.nodeType === 3)
    const text = texts.map(node => node.data.trim()).join('')
    if (text === '' || element.disabled) continue
    if (element.closest('script, [hidden], title, option, dialog:not([open])')) continue
    if (!element.checkVisibility()) continue
    const style = getComputedStyle(element)
    const ink = rgb(element instanceof SVGElement ? style.fill : style.color)
    const [a, b] = [luminance(ink), luminance(backgroundOf(element))].sort((x, y) => y - x)
    const ratio = (a + 0.05) / (b + 0.05)
    const size = parseFloat(style.fontSize)
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700)
    const name = text.slice(0, 40) + ' (' + element.className + '): '
    if (ratio < (isLarge ? 3 : 4.5)) found.push(name + ratio.toFixed(2))
  }
  return [...new Set(found)]
})()`
