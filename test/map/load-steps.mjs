/** The calls that load.mjs makes, by their number: so they can be made again on another map. */

function random(seed, call, below) {
  let mixed = Math.imul((seed + call * 0x6d2b79f5) | 0, 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return ((mixed ^ (mixed >>> 16)) >>> 0) % below
}

/** Makes one call. */
export function apply(map, seed, call) {
  const kind = random(seed, 4 * call, 2000)
  const key = `key ${random(seed, 4 * call + 1, 4000)}`
  if (kind === 0) map.clear()
  else if (kind < 500) map.delete(key)
  else if (kind < 700) map.get(key)
  else {
    try {
      map.set(key, `${call} ${'x'.repeat(random(seed, 4 * call + 2, 300))}`)
    } catch (error) {
      if (error.code !== 'ERR_OFFHEAP_OUT_OF_MEMORY') throw error
    }
  }
}

/** A part of a map that others use too: the keys of this seed. It is never cleared. */
export function ownKeys(map, seed) {
  return {
    get: key => map.get(`${seed} ${key}`),
    set: (key, value) => map.set(`${seed} ${key}`, value),
    delete: key => map.delete(`${seed} ${key}`),
    clear: () => {}
  }
}
