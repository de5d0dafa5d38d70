/** Records the built-in objects of the language, to detect which of them a submission replaced. */

interface Entry {
  readonly owner: object
  readonly key: string | symbol
  /** `Math.floor` */
  readonly name: string
  readonly descriptor: PropertyDescriptor
}

/** Records every property of every object that can be reached from the global object. */
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
    // Declarations of a script become properties of the global object, so ignore new ones there.
    if (path !== '') keys.set(owner, { path, keys: new Set(Reflect.ownKeys(owner)) })
    for (const key of Reflect.ownKeys(owner)) {
      const descriptor = Reflect.getOwnPropertyDescriptor(owner, key)
      if (descriptor === undefined) continue
      const name = path === '' ? String(key) : `${path}.${String(key)}`
      // A submission may replace console.
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
