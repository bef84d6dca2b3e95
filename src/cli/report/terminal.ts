// The report for people: a live view that is drawn over itself while the job runs, events above it as they
// come, and the final tables left standing when it ends.

import { formatValue, type Value } from '../../event/decode.ts'
import type { MapView } from '../../event/view.ts'
import type { Ended, Report, Started } from './report.ts'
import { group, isStruct, printable, tableOf } from './table.ts'

export interface Screen {
  write(text: string): void
  /** Of the window, asked for at each drawing since a window may be resized. */
  size(): { readonly columns: number; readonly rows: number }
  readonly color: boolean
}

export class TerminalReport implements Report {
  readonly #screen: Screen
  /** Rows of a map in the final report. */
  readonly #top: number
  /** How many lines of the live view stand below the last line that stays. */
  #drawn = 0
  #last: readonly MapView[] = []
  /** Lines of events that came since the last drawing: a flood of them is drawn at once. */
  #pending: string[] = []
  #live: boolean

  /** `live`: whether the view is drawn at each interval, which it can't be where a command writes to the same screen. */
  constructor(screen: Screen, top: number, live: boolean) {
    this.#screen = screen
    this.#top = top
    this.#live = live
  }

  started({ file, engine, sources, elapsed, cached, command }: Started): void {
    const took = `source to attached in ${milliseconds(elapsed)}${cached ? ' (cached)' : ''}`
    this.#keep(
      `${this.#style('1;33', 'waggle')} ${file} ${this.#style('2', 'on')} ${engine}${this.#style('2', `, ${took}`)}`,
    )
    this.#keep(this.#style('2', `${sources.join(', ')}${command ? `, only below ${command.join(' ')}` : ''}`))
    this.#keep('')
  }

  event(map: string, value: Value): void {
    const text = isStruct(value) ? members(value) : formatValue(value)
    if (this.#pending.length === 0) setImmediate(() => this.#redraw())
    this.#pending.push(`${this.#style('1', map)}  ${printable(text)}`)
  }

  maps(views: readonly MapView[], final: boolean): void {
    this.#last = views
    if (final) this.#live = false
    this.#redraw()
    if (!final) return
    const options = { rows: this.#top, width: this.#screen.size().columns, color: this.#screen.color }
    for (const view of views) for (const line of [...tableOf(view, options), '']) this.#keep(line)
  }

  warn(message: string): void {
    this.#pending.push(`${this.#style('1;33', 'warning')}: ${message}`)
    this.#redraw()
  }

  ended({ reason, elapsed, verdicts, events, status }: Ended): void {
    this.#live = false
    this.#redraw()
    for (const { map, received, lost } of events) {
      const losses = lost === undefined ? 'losses not counted by the program' : `${group(lost)} lost`
      this.#keep(`${this.#style('1', map)}  ${group(received)} events, ${lost ? this.#style('1;31', losses) : losses}`)
    }
    if (verdicts) this.#keep([...verdicts].map(([name, n]) => `${name} ${group(n)}`).join(', '))
    const left = status === undefined ? '' : `, exit status ${status}`
    this.#keep(
      this.#style(
        '2',
        `${reason} after ${elapsed < 1 ? milliseconds(elapsed * 1000) : `${elapsed.toFixed(1)} s`}${left}`,
      ),
    )
  }

  /** What stays goes above the live view, which is drawn anew below it. */
  #redraw(): void {
    // From the first column: Ctrl-C leaves a `^C` behind the cursor.
    if (this.#drawn > 0) this.#screen.write(`\r\x1b[${this.#drawn}A\x1b[J`)
    this.#drawn = 0
    if (this.#pending.length > 0) this.#keep(this.#pending.join('\n'))
    this.#pending = []
    this.#draw()
  }

  /** Draws the live view: as many rows of each map as the window has room for. */
  #draw(): void {
    if (!this.#live || this.#last.length === 0) return
    const { columns, rows } = this.#screen.size()
    // A title, a header and a "more" line each, one blank between maps, and the hint.
    const room = Math.max(1, Math.floor((rows - 3 - 5 * this.#last.length) / this.#last.length))
    const lines = this.#last.flatMap((view) => [
      ...tableOf(view, { rows: room, width: columns, color: this.#screen.color }),
      '',
    ])
    lines.push(this.#style('2', 'Ctrl-C ends it'))
    const fitting = lines.slice(0, Math.max(1, rows - 1)).map((line) => clip(line, columns))
    this.#screen.write(`${fitting.join('\n')}\n`)
    this.#drawn = fitting.length
  }

  #keep(line: string): void {
    this.#screen.write(`${line}\n`)
  }

  #style(sgr: string, text: string): string {
    return this.#screen.color ? `\x1b[${sgr}m${text}\x1b[0m` : text
  }
}

const milliseconds = (time: number): string => `${time < 10 ? time.toFixed(1) : Math.round(time)} ms`

const members = (value: { readonly [name: string]: Value }): string =>
  Object.entries(value)
    .map(([name, part]) => `${name}=${formatValue(part)}`)
    .join('  ')

/** Cuts a line at the window's edge, for a wrapped line would take two rows and break the redraw. Colours have no width. */
function clip(line: string, columns: number): string {
  let width = 0
  let out = ''
  for (const part of line.split(/(\x1b\[[0-9;]*m)/)) {
    if (part.startsWith('\x1b')) out += part
    else {
      out += part.slice(0, Math.max(0, columns - width))
      width += part.length
    }
  }
  return out
}
