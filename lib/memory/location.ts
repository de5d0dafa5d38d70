/**
 * Finds the folders that may hold builds of the native addon, starting from the file that contains
 * this code. V8 reports that file, because bundlers rewrite every other way to find it: webpack
 * replaces `import.meta.url` by the path on the machine that built the bundle, and in CommonJS
 * output of esbuild it is undefined. `__filename` exists in CommonJS only.
 */
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Location {
  /** Whether a bundler has put this code into a file of another program. */
  readonly bundled: boolean
  /**
   * Folders that may hold builds, in order of search. The first is that of the package, or of the
   * bundle.
   */
  readonly folders: readonly [string, ...string[]]
}

/** The location of this code. */
export function location(): Location {
  const file = runningFile()
  return locationOf(file, isInExecutable(file) ? process.execPath : undefined)
}

/** Whether the program is a single executable, built by Node or by `bun build --compile`. */
function isInExecutable(file: string | undefined): boolean {
  return process.getBuiltinModule('node:sea')?.isSea() || file?.startsWith('/$bunfs/') || false
}

/**
 * The location of code in a file. A bundle may consist of several files, so the parent folder is
 * searched too. Code in a single executable reports a file on the machine that built it, so the
 * folder of the executable is searched instead.
 */
export function locationOf(file: string | undefined, executable?: string): Location {
  if (file !== undefined && /[\\/]memory[\\/]location\.[jt]s$/.test(file)) {
    return { bundled: false, folders: [join(dirname(file), '../..')] }
  }
  if (executable !== undefined) return { bundled: true, folders: [dirname(executable)] }
  if (file === undefined) return { bundled: true, folders: [mainFolder()] }
  return { bundled: true, folders: [dirname(file), dirname(dirname(file))] }
}

/** The folder of the program's main script, or the working directory if there is none. */
function mainFolder(): string {
  return dirname(resolve(process.argv[1] ?? '-'))
}

/**
 * The path of the file that contains this function; undefined if it was evaluated from a string
 * without a file.
 */
export function runningFile(places: readonly string[] = placesOnStack()): string | undefined {
  const [place] = places.filter(each => each.startsWith('file:') || isAbsolute(each))
  return place?.startsWith('file:') ? fileURLToPath(place) : place
}

/** A path or URL with line and column, in a line of a stack trace or an eval origin. */
const PLACE = /(?:\(|^\s*at (?:async )?)((?:file:|\/|[a-z]:[\\/]).*?):\d+:\d+\)?/i

/**
 * The files of the functions on the stack, innermost first. Evaluated code is followed by the code
 * that evaluated it.
 */
function placesOnStack(): string[] {
  try {
    return placesOfSites()
  } catch {
    // With --frozen-intrinsics, only the text of the stack trace is available.
    const lines = new Error().stack?.split('\n') ?? []
    return lines.map(line => PLACE.exec(line)?.[1] ?? '')
  }
}

/**
 * Reads those files from V8's call sites. With --enable-source-maps, the text of a stack trace
 * names the sources of a bundle instead.
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
    // If webpack evaluates each module, the first function in a file may be many calls up.
    Error.stackTraceLimit = 200
    void new Error().stack
  } finally {
    Object.assign(Error, { prepareStackTrace, stackTraceLimit })
  }
  return places
}
