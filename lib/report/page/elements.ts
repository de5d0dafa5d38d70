/** The parts of the DOM that the whole page uses. */

/** The first element that matches the selector. It must exist and have this class. */
export function find<T extends Element>(root: ParentNode, selector: string, type: new () => T): T {
  const found = root.querySelector(selector)
  if (!(found instanceof type)) throw new Error(`the page has no ${selector}`)
  return found
}

/** A canvas with the resolution of the screen, drawn in CSS pixels. */
export class Stage {
  readonly canvas: HTMLCanvasElement
  readonly context: CanvasRenderingContext2D
  /** CSS pixels. */
  width = 0
  height = 0
  /** Device pixels for a CSS pixel. */
  ratio = 1

  constructor(canvas: HTMLCanvasElement) {
    const context = canvas.getContext('2d')
    if (context === null) throw new Error('this browser draws no canvas')
    this.canvas = canvas
    this.context = context
  }

  /** Adapts the canvas to its size in the layout. Returns true if the size has changed. */
  fit(): boolean {
    const { clientWidth: width, clientHeight: height } = this.canvas
    const ratio = window.devicePixelRatio || 1
    if (width === this.width && height === this.height && ratio === this.ratio) return false
    this.width = width
    this.height = height
    this.ratio = ratio
    this.canvas.width = Math.max(1, Math.round(width * ratio))
    this.canvas.height = Math.max(1, Math.round(height * ratio))
    return true
  }

  /** Clears the canvas. */
  clear(): CanvasRenderingContext2D {
    this.context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0)
    this.context.clearRect(0, 0, this.width, this.height)
    return this.context
  }
}

/** A picture that is drawn once and copied to a stage many times. */
export class Layer {
  readonly #canvas = document.createElement('canvas')
  #key = ''

  /** Draws the layer again if `key` has changed, and copies it to the stage. */
  show(stage: Stage, key: string, draw: (context: CanvasRenderingContext2D) => void): void {
    const whole = `${key} ${stage.width} ${stage.height} ${stage.ratio}`
    if (whole !== this.#key) {
      this.#key = whole
      this.#canvas.width = stage.canvas.width
      this.#canvas.height = stage.canvas.height
      const context = this.#canvas.getContext('2d')
      if (context === null) throw new Error('this browser draws no canvas')
      context.setTransform(stage.ratio, 0, 0, stage.ratio, 0, 0)
      draw(context)
    }
    stage.context.setTransform(1, 0, 0, 1, 0, 0)
    stage.context.drawImage(this.#canvas, 0, 0)
    stage.context.setTransform(stage.ratio, 0, 0, stage.ratio, 0, 0)
  }
}
