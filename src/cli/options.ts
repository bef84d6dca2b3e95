// Options that several commands share, each said once, and what they make: a report.

import { type Arguments, type Command, lastValue, misuse, type Option, readTime } from './command.ts'
import { JsonReport } from './report/json.ts'
import type { Report } from './report/report.ts'
import { TerminalReport } from './report/terminal.ts'

export const OUTPUT_OPTIONS: readonly Option[] = [
  {
    name: 'json',
    help: 'Print one JSON object a line instead of tables. This is also what is printed where standard output is not a terminal.',
  },
  {
    name: 'duration',
    short: 'd',
    value: 'TIME',
    help: 'End by itself after this time: 5s, 300ms, 2m. A plain number counts seconds.',
  },
  { name: 'interval', short: 'i', value: 'TIME', help: 'How often the view is brought up to date; 1s if not given.' },
  {
    name: 'top',
    short: 'n',
    value: 'ROWS',
    help: 'How many rows of a map the final table has, the largest first; 50 if not given, all for 0. JSON always has all.',
  },
  { name: 'verbose', short: 'v', help: "With a refusal of the kernel's, print its verifier's log too." },
]

export interface Output {
  readonly report: Report
  readonly json: boolean
  /** Milliseconds. */
  readonly interval: number
  readonly duration: number | undefined
}

const DEFAULT_ROWS = 50

/** `live` is false where a command writes to the same terminal: then nothing may be drawn over. */
export function readOutput(command: Pick<Command, 'name'>, args: Arguments, live: boolean): Output {
  const top = lastValue(args, 'top') ?? String(DEFAULT_ROWS)
  if (!/^\d+$/.test(top)) throw misuse(command, `--top wants a whole number, not '${top}'`)
  const duration = lastValue(args, 'duration')
  const json = args.flags.has('json') || !process.stdout.isTTY
  return {
    json,
    interval: readTime(command, 'interval', lastValue(args, 'interval') ?? '1s'),
    duration: duration === undefined ? undefined : readTime(command, 'duration', duration),
    report: json ? new JsonReport(write) : new TerminalReport(screen(), Number(top) || Number.POSITIVE_INFINITY, live),
  }
}

const write = (text: string): void => {
  process.stdout.write(text)
}

const screen = () => ({
  write,
  size: () => ({ columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 }),
  color: process.stdout.hasColors?.() ?? false,
})
