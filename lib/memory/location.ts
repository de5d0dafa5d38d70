/**
 * Where builds of the native addon may lie, from the file that this code runs in. That file is
 * asked of V8, when it is needed, because bundlers rewrite every other way: webpack makes
 * `import.meta.url` the path on the machine that built the bundle, and in CommonJS made by esbuild
 * it is undefined. `__filename` exists in CommonJS alone.
 */
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Location {
  /** Whether this code is in a file of another program, in which a bundler put it. */
  readonly bundled: boolean
  /**
   * Folders that may have builds, in the order in which to look. The first is the package itself,
   * or the bundle's.
   */
  readonly folders: readonly [string, ...string[]]
}

/** The location of this code. */
export function location(): Location {
  const file = runningFile()
  return locationOf(file, isInExecutable(file) ? process.execPath : undefined)
}

/** Whether the program is a single executable, made by Node or by `bun build --compile`. */
function isInExecutable(file: string | undefined): boolean {
  return process.getBuiltinModule('node:sea')?.isSea() || file?.startsWith('/$bunfs/') || false
}

/**
 * The location of code in a file. A bundle may be several files, so the folder above the one with
 * this code counts too. Code in a single executable names a file of the machine that made it; what
 * counts is the folder of the executable.
 */
export function locationOf(file: string | undefined, executable?: string): Location {
  if (file !== undefined && /[\\/]memory[\\/]location\.[jt]s$/.test(file)) {
    return { bundled: false, folders: [join(dirname(file), '../..')] }
  }
  if (executable !== undefined) return { bundled: true, folders: [dirname(executable)] }
  if (file === undefined) return { bundled: true, folders: [mainFolder()] }
  return { bundled: true, folders: [dirname(file), dirname(dirname(file))] }
}

/** The folder of the program's main script, or the working directory when there is none. */
function mainFolder(): string {
  return dirname(resolve(process.argv[1] ?? '-'))
}

/**
 * The path of the file that has this function; undefined when it was evaluated from a string that
 * no file has.
 */
export function runningFile(places: readonly string[] = placesOnStack()): string | undefined {
  const [place] = places.filter(each => each.startsWith('file:') || isAbsolute(each))
  return place?.startsWith('file:') ? fileURLToPath(place) : place
}

/** A path or URL with line and column: in a line of a stack, or in the origin of evaluated code. */
const PLACE = /(?:\(|^\s*at (?:async )?)((?:file:|\/|[a-z]:[\\/]).*?):\d+:\d+\)?/i

/**
 * Where the functions on the stack are, from this one up. Evaluated code is followed by what
 * evaluated it.
 */
function placesOnStack(): string[] {
  try {
    return placesOfSites()
  } catch {
    // Under --frozen-intrinsics there is only the text.
    const lines = new Error().stack?.split('\n') ?? []
    return lines.map(line => PLACE.exec(line)?.[1] ?? '')
  }
}

/**
 * The same, from V8's own records: in the text, --enable-source-maps puts the sources that a bundle
 * was made from.
 */
function placesOfSites(): string[] {
  const { prepareStackTrace, stackTraceLimit } = Error
  let places: string[] = []
  Error.prepareStackTrace = (_, sites) => {
    places = sites.flatMap(site => [
      site.getFileName() ?? '',
      PLACE.exec(site.getEvalOrigin() ?? '')?.[1] ?? ''
    ])
  }
  try {
    // Where webpack evaluates each module, the first place with a file may be many calls up.
    Error.stackTraceLimit = 200
    void new Error().stack
  } finally {
    Object.assign(Error, { prepareStackTrace, stackTraceLimit })
  }
  return places
}
