// Value: what a typed value of a program is on the user's side, and its two texts, for terminals and for JSON.

/**
 * Integers of up to 4 bytes are numbers, longer ones and pointers bigints; char arrays and addresses are text,
 * enumerators their names, structs plain objects.
 */
export type Value = number | bigint | boolean | string | readonly Value[] | { readonly [name: string]: Value }

/** What JSON can hold. */
export type Json = number | boolean | string | null | readonly Json[] | { readonly [name: string]: Json }

/** Text that needs no quotes inside a list or struct: names, numbers, addresses, paths. */
const PLAIN = /^[\w.:/@+-]+$/

/** One line of text: strings as they are, or in quotes inside a struct or list where they would be ambiguous. */
export function formatValue(value: Value): string {
  return typeof value === 'string' ? value : formatInner(value)
}

function formatInner(value: Value): string {
  if (typeof value === 'string') return PLAIN.test(value) ? value : JSON.stringify(value)
  if (typeof value !== 'object') return String(value)
  if (isList(value)) return `[${value.map(formatInner).join(', ')}]`
  const members = Object.entries(value).map(([name, part]) => `${name}: ${formatInner(part)}`)
  return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`
}

/** For JSON: a bigint becomes a number where that is exact, and a decimal string where it is not. */
export function toJSON(value: Value): Json {
  if (typeof value === 'bigint') {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value.toString()
  }
  // JSON has no infinities and no NaN; JSON.stringify would write null as well.
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (typeof value !== 'object') return value
  if (isList(value)) return value.map(toJSON)
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, toJSON(part)]))
}

/** Array.isArray does not narrow a readonly list. */
export const isList = (value: Value): value is readonly Value[] => Array.isArray(value)
