/**
 * Options objects of the public functions. They are the caller's: a getter or a proxy in one is
 * code that may do anything. So each option is read once, before anything else happens, and a name
 * that no option has is an error, not a heap that is not what was asked for.
 */
import { invalidType, invalidValue } from './errors.js'

/** The names of all options of a kind. The compiler sees to it that none is missing. */
export type OptionNames<Options> = { readonly [Name in keyof Options]-?: true }

/**
 * The options that are not undefined, by value. `call` is the function that they were given to, for
 * messages.
 * @throws TypeError `ERR_INVALID_ARG_TYPE` when they are no object, `ERR_INVALID_ARG_VALUE` for a
 * name that is not in `names`
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
