/**
 * Reads the options of the public functions. A getter or a proxy may run any code, so each option
 * is read once, before anything else happens. An unknown name is an error: a misspelled option must
 * not be ignored.
 */
import { invalidType, invalidValue } from './errors.js'

/** The names of all options of an interface. The compiler checks that none is missing. */
export type OptionNames<Options> = { readonly [Name in keyof Options]-?: true }

/**
 * Returns a copy of the options that are not undefined. `call` is the name of the public function,
 * for messages.
 * @throws TypeError `ERR_INVALID_ARG_TYPE` if `options` is not an object, `ERR_INVALID_ARG_VALUE`
 * for a name that is not in `names`
 */
export function readOptions<Options extends object>(
  call: string,
  options: Options,
  names: OptionNames<Options>
): Partial<Options> {
  if (typeof options !== 'object' || options === null)
    throw invalidType('options', 'an object', options)
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(names, name)) {
      const known = Object.keys(names).join(', ')
      throw invalidValue(
        `options.${name}`,
        `is not an option of ${call}. Its options are ${known}`,
        Reflect.get(options, name)
      )
    }
  }
  const read: Partial<Options> = {}
  for (const name in names) {
    const value = options[name]
    if (value !== undefined) read[name] = value
  }
  return read
}
