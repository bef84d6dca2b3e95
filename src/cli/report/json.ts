// The report for programs: one JSON object a line (newline-delimited JSON) on standard output. 64-bit numbers
// that a double can't hold are strings. A line's `type` says what it is: started, map, event, lost, warning, ended.

import { toJSON, type Value } from '../../event/decode.ts'
import type { MapView } from '../../event/view.ts'
import type { Ended, Report, Started } from './report.ts'

export class JsonReport implements Report {
  readonly #write: (line: string) => void
  /** The last line written for each map, so that one that did not change is not said again. */
  readonly #last = new Map<string, string>()

  constructor(write: (line: string) => void) {
    this.#write = write
  }

  started({ file, engine, sources, elapsed, cached, command }: Started): void {
    this.#line({ type: 'started', file, engine, sources, sourceToAttachedMs: round(elapsed), cached, command })
  }

  event(map: string, value: Value): void {
    this.#line({ type: 'event', map, data: toJSON(value) })
  }

  maps(views: readonly MapView[], final: boolean): void {
    for (const { name, entries, lost } of views) {
      const data = entries.map(({ key, value }) => ({ key: toJSON(key), value: toJSON(value) }))
      const text = JSON.stringify(data)
      if (!final && this.#last.get(name) === text) continue
      this.#last.set(name, text)
      this.#line({ type: 'map', map: name, final, entries: data, lost: count(lost) })
    }
  }

  warn(message: string): void {
    this.#line({ type: 'warning', message })
  }

  ended({ reason, elapsed, verdicts, events, status }: Ended): void {
    this.#line({
      type: 'ended',
      reason,
      seconds: round(elapsed),
      verdicts: verdicts && Object.fromEntries(verdicts),
      events: events.map(({ map, received, lost }) => ({ map, received, lost: count(lost) })),
      status,
    })
  }

  #line(data: Record<string, unknown>): void {
    this.#write(`${JSON.stringify(data)}\n`)
  }
}

const round = (n: number): number => Math.round(n * 1000) / 1000
const count = (n: bigint | undefined): unknown => (n === undefined ? undefined : toJSON(n))
