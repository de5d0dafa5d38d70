/** A file as a stream of blocks of a heap. */
import { close, open, read } from 'node:fs'
import { Readable } from 'node:stream'

/**
 * A stream of Buffers, each in a block of its own. Whoever reads a chunk frees it:
 * `heap.free(chunk)`. Unread chunks are freed when the stream is destroyed.
 */
export class HeapReadStream extends Readable {
  #path
  #heap
  #chunkBytes
  #file = -1
  #reading = false
  /** Chunks in the order of their creation; the last `readableLength` ones were not read yet. */
  #chunks = []

  constructor(path, heap, chunkBytes = 64 * 1024) {
    // In object mode a chunk arrives as it is; otherwise chunks may be joined or split.
    super({ objectMode: true, highWaterMark: 4 })
    this.#path = path
    this.#heap = heap
    this.#chunkBytes = chunkBytes
  }

  _construct(done) {
    open(this.#path, (error, file) => {
      this.#file = file ?? -1
      done(error)
    })
  }

  _read() {
    this.#forgetTaken()
    let block
    try {
      block = this.#heap.allocBuffer(this.#chunkBytes)
    } catch (error) {
      this.destroy(error)
      return
    }
    this.#reading = true
    read(this.#file, block, 0, block.length, null, (error, bytes) => {
      this.#reading = false
      if (error || bytes === 0 || this.destroyed) {
        this.#heap.free(block)
        if (this.destroyed) this.emit('idle')
        else if (error) this.destroy(error)
        else this.push(null)
        return
      }
      // The part that was read begins where the block begins, so free() accepts it.
      const chunk = block.subarray(0, bytes)
      this.#chunks.push(chunk)
      this.push(chunk)
    })
  }

  _destroy(error, done) {
    // The kernel may still be writing to the last block.
    if (this.#reading) {
      this.once('idle', () => this._destroy(error, done))
      return
    }
    this.#forgetTaken()
    for (const chunk of this.#chunks.splice(0)) this.#heap.free(chunk)
    if (this.#file === -1) done(error)
    else close(this.#file, problem => done(error ?? problem))
  }

  #forgetTaken() {
    this.#chunks.splice(0, this.#chunks.length - this.readableLength)
  }
}
