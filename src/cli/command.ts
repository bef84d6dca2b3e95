// What a command of `waggle` is, as data: its manual page and its options are one table, read by the
// argument parser (node:util's parseArgs), by `--help` and by the tests of both.

import { parseArgs } from 'node:util'
import { Diagnostic } from '../diag/diagnostic.ts'
import { nearest } from '../diag/nearest.ts'

export interface Option {
  readonly name: string
  /** One letter. */
  readonly short?: string
  /** What follows the option, as `TIME`; an option without one is a flag. */
  readonly value?: string
  /** May be given more than once. */
  readonly multiple?: boolean
  /** One or more sentences for the manual page. */
  readonly help: string
}

export interface Example {
  readonly command: string
  readonly help: string
}

export interface Arguments {
  readonly flags: ReadonlySet<string>
  /** Values by option name, in the order given. */
  readonly values: ReadonlyMap<string, readonly string[]>
  readonly positionals: readonly string[]
  /** What stands after `--`, or undefined if there is no `--`. */
  readonly command: readonly string[] | undefined
}

export interface Command {
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  readonly synopsis: readonly string[]
  /** Paragraphs. */
  readonly description: readonly string[]
  readonly options: readonly Option[]
  readonly examples: readonly Example[]
  /** Exit statuses beyond 0 and 1, or anything else worth a section. */
  readonly sections?: readonly { readonly title: string; readonly paragraphs: readonly string[] }[]
  /** Gives the exit status. */
  run(args: Arguments): Promise<number>
}

const HELP: Option = { name: 'help', short: 'h', help: 'Print this page and exit.' }

/** Reads a command's arguments by its table; throws a Diagnostic for what the table does not know. */
export function readArguments(command: Command, argv: readonly string[]): Arguments {
  const rows = [...command.options, HELP]
  const { tokens } = parseArgs({
    args: [...argv],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries(
      rows.map(({ name, short, value }) => [
        name,
        { type: value ? ('string' as const) : ('boolean' as const), ...(short && { short }) },
      ]),
    ),
  })
  const flags = new Set<string>()
  const values = new Map<string, string[]>()
  const positionals: string[] = []
  let terminator: number | undefined
  for (const token of tokens) {
    if (token.kind === 'option-terminator') {
      terminator = token.index
      break
    }
    if (token.kind === 'positional') {
      positionals.push(token.value)
      continue
    }
    const row = rows.find(({ name }) => name === token.name)
    if (!row) throw unknownOption(command, token.rawName, rows)
    if (!row.value) {
      if (token.value !== undefined) throw misuse(command, `${token.rawName} takes no value`)
      flags.add(row.name)
      continue
    }
    if (token.value === undefined) throw misuse(command, `${token.rawName} wants a value: ${row.value}`)
    const given = values.get(row.name) ?? []
    if (given.length > 0 && !row.multiple) throw misuse(command, `${token.rawName} is given twice`)
    values.set(row.name, [...given, token.value])
  }
  return { flags, values, positionals, command: terminator === undefined ? undefined : argv.slice(terminator + 1) }
}

/** The last value given for an option. */
export const lastValue = (args: Arguments, name: string): string | undefined => args.values.get(name)?.at(-1)

/** A mistake in the command line itself. */
export const misuse = (command: Pick<Command, 'name'>, message: string): Diagnostic =>
  new Diagnostic({ code: 'cli/usage', message, help: `waggle ${command.name} --help shows how it is used` })

function unknownOption(command: Command, raw: string, rows: readonly Option[]): Diagnostic {
  const close = nearest(
    raw.replace(/^-+/, ''),
    rows.map(({ name }) => name),
  )
  const guess = close.length > 0 ? `did you mean --${close[0]}? ` : ''
  return new Diagnostic({
    code: 'cli/usage',
    message: `waggle ${command.name} has no option ${raw}`,
    help: `${guess}waggle ${command.name} --help lists them all`,
  })
}

/** `5s`, `300ms`, `2m`, `1h` or a plain number of seconds, in milliseconds. */
export function readTime(command: Pick<Command, 'name'>, option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text)
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match?.[2] ?? 's'] ?? 1000
  const time = match ? Number(match[1]) * unit : Number.NaN
  if (!(time > 0 && time < 2 ** 31)) throw misuse(command, `--${option} wants a time as 5s, 300ms or 2m, not '${text}'`)
  return time
}

/** The manual page of a command, `width` columns wide. */
export function manual(command: Command, width = 80): string {
  const out: string[] = []
  const section = (title: string, lines: readonly string[]) => out.push(title, ...lines, '')
  const indented = (paragraphs: readonly string[]) =>
    paragraphs.flatMap((text, i) => [...(i > 0 ? [''] : []), ...wrap(text, width - 4).map((line) => `    ${line}`)])
  section('NAME', [`    waggle ${command.name} - ${command.summary}`])
  section(
    'SYNOPSIS',
    command.synopsis.map((line) => `    ${line}`),
  )
  section('DESCRIPTION', indented(command.description))
  section(
    'OPTIONS',
    [...command.options, HELP].flatMap((option) => [
      `    ${option.short ? `-${option.short}, ` : ''}--${option.name}${option.value ? ` ${option.value}` : ''}`,
      ...wrap(option.help, width - 8).map((line) => `        ${line}`),
    ]),
  )
  for (const { title, paragraphs } of command.sections ?? []) section(title, indented(paragraphs))
  section(
    'EXAMPLES',
    command.examples.flatMap((example) => [
      `    ${example.command}`,
      ...wrap(example.help, width - 8).map((line) => `        ${line}`),
    ]),
  )
  return out.join('\n').trimEnd()
}

/** Breaks a text into lines of at most `width` columns, at spaces. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
