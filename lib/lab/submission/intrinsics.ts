/** Remembers what the language came with, to see what a submission put in its place. */

interface Entry {
  readonly owner: object
  readonly key: string | symbol
  /** `Math.floor` */
  readonly name: string
  readonly descriptor: PropertyDescriptor
}

/** Takes note of every property of every object that can be reached from a global one. */
export function intrinsicsOf(global: object): { changed(): string[] } {
  const entries: Entry[] = []
  const seen = new Set<object>()
  const keys = new Map<
    object,
    { readonly path: string; readonly keys: ReadonlySet<string | symbol> }
  >()
  const visit = (owner: object, path: string) => {
    if (seen.has(owner)) return
    seen.add(owner)
    // What a script declares becomes a property of the global object.
    if (path !== '') keys.set(owner, { path, keys: new Set(Reflect.ownKeys(owner)) })
    for (const key of Reflect.ownKeys(owner)) {
      const descriptor = Reflect.getOwnPropertyDescriptor(owner, key)
      if (descriptor === undefined) continue
      const name = path === '' ? String(key) : `${path}.${String(key)}`
      // A global that a submission sets is its own; console is there to be used, and may be
      // replaced.
      if (path !== '' || key !== 'console') entries.push({ owner, key, name, descriptor })
      for (const part of [descriptor.value, descriptor.get, descriptor.set])
        if (isObject(part)) visit(part, name)
    }
    const prototype = Reflect.getPrototypeOf(owner)
    if (prototype !== null) visit(prototype, `${path}.prototype`)
  }
  visit(global, '')
  const added = () =>
    [...keys].flatMap(([owner, before]) =>
      Reflect.ownKeys(owner)
        .filter(key => !before.keys.has(key))
        .map(key => `${before.path}.${String(key)}`)
    )
  return { changed: () => [...entries.filter(isChanged).map(entry => entry.name), ...added()] }
}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}

function isChanged({ owner, key, descriptor }: Entry): boolean {
  const now = Reflect.getOwnPropertyDescriptor(owner, key)
  if (now === undefined) return true
  return !(
    Object.is(now.value, descriptor.value) &&
    now.get === descriptor.get &&
    now.set === descriptor.set &&
    now.writable === descriptor.writable
  )
}
