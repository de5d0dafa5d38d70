/**
 * Views that report every access. They are slow, so they are used only for the beginning of a
 * trace, and after a fault to find the line of the student's source that caused it.
 */

import type { Views } from './memory.js'

/** Receives every access before it happens. Throw to stop the allocator there. */
export interface Watcher {
  /**
   * Bytes `from` to `to` are about to be read. `bulk`: by a method on many elements, such as
   * `copyWithin`.
   */
  read(from: number, to: number, bulk: boolean): void
  /**
   * Bytes `from` to `to` are about to be written. `value` is the new value if it is one element.
   */
  write(from: number, to: number, value?: unknown): void
  /**
   * An element that does not exist is about to be accessed. `view` is the view's name, `index` the
   * key.
   */
  noElement(view: string, index: string, writing: boolean): void
  /** The buffer of a view is taken. Accesses through other views of it can't be watched. */
  buffer(view: string): void
}

interface Elements {
  readonly BYTES_PER_ELEMENT: number
  readonly length: number
}

export function spyOn(views: Views, watcher: Watcher): Views {
  return {
    u8: watched('u8', views.u8, watcher),
    i8: watched('i8', views.i8, watcher),
    u16: watched('u16', views.u16, watcher),
    i16: watched('i16', views.i16, watcher),
    u32: watched('u32', views.u32, watcher),
    i32: watched('i32', views.i32, watcher),
    f32: watched('f32', views.f32, watcher),
    f64: watched('f64', views.f64, watcher),
    i64: watched('i64', views.i64, watcher),
    u64: watched('u64', views.u64, watcher),
    dataView: watchedDataView(views.dataView, watcher)
  }
}

function watched<View extends Elements & object>(name: string, view: View, watcher: Watcher): View {
  const bytes = view.BYTES_PER_ELEMENT
  const { length } = view
  const elementOf = (key: string, writing: boolean): number => {
    const index = Number(key)
    if (Number.isInteger(index) && index >= 0 && index < length) return index
    watcher.noElement(name, key, writing)
    return -1
  }
  return new Proxy(view, {
    get(target, key) {
      if (typeof key === 'string' && isIndex(key)) {
        const index = elementOf(key, false)
        if (index >= 0) watcher.read(index * bytes, (index + 1) * bytes, false)
        return Reflect.get(target, key, target)
      }
      if (key === 'buffer') watcher.buffer(name)
      const value: unknown = Reflect.get(target, key, target)
      if (typeof value !== 'function') return value
      return (...args: readonly unknown[]) => {
        tellMethod(String(key), args, bytes, length, watcher)
        return Reflect.apply(value, target, args)
      }
    },
    set(target, key, value) {
      if (typeof key === 'string' && isIndex(key)) {
        const index = elementOf(key, true)
        if (index >= 0) watcher.write(index * bytes, (index + 1) * bytes, value)
      }
      return Reflect.set(target, key, value, target)
    }
  })
}

/**
 * Returns whether a key is meant as an index, valid or not. Other keys are names of properties and
 * methods.
 */
function isIndex(key: string): boolean {
  const first = key.charCodeAt(0)
  return (
    (first >= 0x30 && first <= 0x39) ||
    first === 0x2d ||
    key === 'NaN' ||
    key === 'undefined' ||
    key === 'null'
  )
}

/**
 * Reports the accesses of the methods that write or copy elements. Other methods only read single
 * elements.
 */
function tellMethod(
  method: string,
  args: readonly unknown[],
  bytes: number,
  length: number,
  watcher: Watcher
): void {
  const place = (value: unknown, standard: number) => {
    const index = value === undefined ? standard : Math.trunc(Number(value)) || 0
    return Math.min(length, Math.max(0, index < 0 ? index + length : index))
  }
  if (method === 'copyWithin') {
    const to = place(args[0], 0)
    const from = place(args[1], 0)
    const count = Math.max(0, Math.min(place(args[2], length) - from, length - to))
    if (count === 0) return
    watcher.read(from * bytes, (from + count) * bytes, true)
    watcher.write(to * bytes, (to + count) * bytes)
  } else if (method === 'fill') {
    const from = place(args[1], 0)
    const to = place(args[2], length)
    if (to > from) watcher.write(from * bytes, to * bytes)
  } else if (method === 'set') {
    const [source] = args
    const count =
      typeof source === 'object' && source !== null && 'length' in source
        ? Number(source.length)
        : 0
    const from = place(args[1], 0)
    if (ArrayBuffer.isView(source) && source.buffer.byteLength >= length * bytes && count > 0) {
      watcher.read(source.byteOffset, source.byteOffset + source.byteLength, true)
    }
    if (count > 0) watcher.write(from * bytes, Math.min(length, from + count) * bytes)
  } else if (method === 'slice') {
    const from = place(args[0], 0)
    const to = place(args[1], length)
    if (to > from) watcher.read(from * bytes, to * bytes, true)
  }
}

function watchedDataView(view: DataView, watcher: Watcher): DataView {
  return new Proxy(view, {
    get(target, key) {
      if (key === 'buffer') watcher.buffer('dataView')
      const value: unknown = Reflect.get(target, key, target)
      if (typeof value !== 'function') return value
      const match = /^(get|set)\D+?(\d+)$/.exec(String(key))
      return (...args: readonly unknown[]) => {
        const from = Number(args[0])
        const to = from + Number(match?.[2] ?? 0) / 8
        if (match !== null && from >= 0 && to <= target.byteLength) {
          if (match[1] === 'get') watcher.read(from, to, false)
          else watcher.write(from, to, args[1])
        }
        return Reflect.apply(value, target, args)
      }
    }
  })
}
