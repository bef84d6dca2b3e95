// A map as a table of text: a column for each part of the key and of the value, the largest first, and a bar for
// how each row compares with the largest. Pure: it makes lines, it does not print them.

import { formatValue, type Value } from '../../event/decode.ts'
import type { MapEntry, MapView } from '../../event/view.ts'

export interface TableOptions {
  /** At most this many rows; the rest is summed up in a line. */
  readonly rows: number
  /** Columns of the terminal. */
  readonly width: number
  readonly color: boolean
}

const BAR_WIDTH = 24
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

/** The lines of a map's table, its title first. */
export function tableOf(view: MapView, { rows, width, color }: TableOptions): string[] {
  const entries = sorted(view.entries)
  const style = (sgr: string, text: string) => (color ? `\x1b[${sgr}m${text}\x1b[0m` : text)
  const title = `${style('1', view.name)}${style('2', `  ${summary(entries)}`)}`
  const lost = view.lost ? [style('33', `  ${group(view.lost)} not counted: the map was full`)] : []
  if (entries.length === 0) return [title, ...lost]

  const shown = entries.slice(0, rows)
  const keys = columnsOf(
    shown.map(({ key }) => key),
    'key',
    String,
  )
  const values = columnsOf(
    shown.map(({ value }) => value),
    'value',
    group,
  )
  const headed = keys.some(({ name }) => name !== 'key') || values.some(({ name }) => name !== 'value')
  const cells = [...keys, ...values].map((column) => ({ ...column, width: columnWidth(column, headed) }))

  const text = cells.reduce((sum, cell) => sum + cell.width + 2, 2)
  const bar = Math.max(0, Math.min(BAR_WIDTH, width - text - 2))
  const largest = shown.length > 0 ? weight(shown[0].value) : 0
  const lines = shown.map((entry, i) => {
    const row = cells.map(({ texts, numeric, width: w }) => (numeric ? texts[i].padStart(w) : texts[i].padEnd(w)))
    return `  ${row.join('  ')}  ${style('36', barOf(weight(entry.value), largest, bar))}`.trimEnd()
  })
  const head = headed
    ? [
        style(
          '2',
          `  ${cells.map(({ name, numeric, width: w }) => (numeric ? name.padStart(w) : name.padEnd(w))).join('  ')}`.trimEnd(),
        ),
      ]
    : []
  const more = entries.length > shown.length ? [style('2', `  … and ${group(entries.length - shown.length)} more`)] : []
  return [title, ...head, ...lines, ...more, ...lost]
}

interface Column {
  readonly name: string
  readonly texts: readonly string[]
  readonly numeric: boolean
}

const columnWidth = ({ name, texts }: Column, headed: boolean): number =>
  texts.reduce((most, text) => Math.max(most, text.length), headed ? name.length : 0)

/** How a column's numbers are written: keys name things (ports, process numbers), so their digits stay together. */
type Digits = (n: number | bigint) => string

/** One column, or one for each member if the values are structs. */
function columnsOf(values: readonly Value[], name: string, digits: Digits): Column[] {
  const [first] = values
  if (isStruct(first)) {
    return Object.keys(first).flatMap((member) =>
      columnsOf(
        values.map((value) => (value as { readonly [name: string]: Value })[member]),
        member,
        digits,
      ),
    )
  }
  const numeric = values.every((value) => typeof value === 'number' || typeof value === 'bigint')
  return [
    {
      name,
      numeric,
      texts: values.map((value) => (numeric ? digits(value as number | bigint) : printable(formatValue(value)))),
    },
  ]
}

/** An object with members, not a list. */
export const isStruct = (value: Value): value is { readonly [name: string]: Value } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Names come from the kernel and from packets: what a terminal would obey is made visible instead. */
export const printable = (text: string): string =>
  text.replace(/[\x00-\x1f\x7f-\x9f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)

/** The largest first; equal ones by key, so that rows do not dance. */
function sorted(entries: readonly MapEntry[]): MapEntry[] {
  const text = new Map(entries.map((entry) => [entry, formatValue(entry.key)]))
  return [...entries].sort((a, b) => weight(b.value) - weight(a.value) || (text.get(a)! < text.get(b)! ? -1 : 1))
}

/** What rows are compared by: the value, or the first number in it. */
function weight(value: Value): number {
  if (typeof value === 'number' || typeof value === 'bigint') return Number(value)
  if (typeof value !== 'object' || value === null) return 0
  for (const part of Object.values(value)) {
    if (typeof part === 'number' || typeof part === 'bigint') return Number(part)
  }
  return 0
}

function summary(entries: readonly MapEntry[]): string {
  const keys = entries.length === 1 ? '1 key' : `${group(entries.length)} keys`
  const scalar = entries.every(({ value }) => typeof value === 'number' || typeof value === 'bigint')
  if (!scalar || entries.length === 0) return keys
  return `${keys}, ${group(entries.reduce((sum, { value }) => sum + BigInt(value as number), 0n))} in total`
}

function barOf(n: number, largest: number, width: number): string {
  if (!(largest > 0) || !(n > 0) || width === 0) return ''
  const eighths = Math.max(1, Math.round((n / largest) * width * 8))
  return '█'.repeat(eighths >> 3) + EIGHTHS[eighths & 7]
}

/** Digits in groups of three. */
export const group = (n: number | bigint): string => {
  const [whole, fraction] = String(n).split('.')
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',')
  return fraction === undefined ? grouped : `${grouped}.${fraction}`
}
