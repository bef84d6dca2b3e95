import { describe, expect, it } from 'vitest'
import { TerminalReport } from './terminal.ts'

/** What a terminal of this size shows after all that was written: enough of one for cursor-up and erase-below. */
class Screen {
  readonly color = false
  lines: string[] = ['']
  #column = 0
  readonly #columns: number
  readonly #rows: number

  constructor(columns: number, rows: number) {
    this.#columns = columns
    this.#rows = rows
  }

  size() {
    return { columns: this.#columns, rows: this.#rows }
  }

  write(text: string): void {
    for (const part of text.split(/(\x1b\[\d*[AJ]|[\r\n])/)) {
      const up = /^\x1b\[(\d+)A$/.exec(part)
      if (up) this.lines.length -= Number(up[1])
      else if (part === '\x1b[J') this.#put('', 0)
      else if (part === '\n' || part === '\r') {
        if (part === '\n') this.lines.push('')
        this.#column = 0
      } else this.#put(part)
    }
  }

  /** Writes over what stands at the cursor; what stands behind it stays unless `rest` says otherwise. */
  #put(text: string, rest = Number.POSITIVE_INFINITY): void {
    const line = this.lines[this.lines.length - 1].padEnd(this.#column)
    const end = this.#column + text.length
    this.lines[this.lines.length - 1] = line.slice(0, this.#column) + text + line.slice(end, end + rest)
    this.#column = end
  }
}

const started = { file: 'a.ts', engine: 'kernel 6.18', sources: ['tracepoint:a:b'], elapsed: 12.3, cached: false }
const counts = (n: bigint) => [{ name: 'counts', entries: [{ key: 'sh', value: n }], lost: undefined }]

describe('the terminal report', () => {
  it('draws the live view over itself and leaves the final one', () => {
    const screen = new Screen(60, 24)
    const report = new TerminalReport(screen, 50, true)
    report.started(started)
    for (let n = 1n; n <= 5n; n++) report.maps(counts(n), false)
    expect(screen.lines.filter((line) => line.startsWith('counts'))).toEqual(['counts  1 key, 5 in total'])
    report.maps(counts(6n), true)
    report.ended({ reason: 'interrupted', elapsed: 2, events: [] })
    expect(screen.lines).toEqual([
      'waggle a.ts on kernel 6.18, source to attached in 12 ms',
      'tracepoint:a:b',
      '',
      'counts  1 key, 6 in total',
      '  sh  6  ████████████████████████',
      '',
      'interrupted after 2.0 s',
      '',
    ])
  })

  it('is not smeared by the ^C that a terminal echoes', () => {
    const screen = new Screen(60, 24)
    const report = new TerminalReport(screen, 50, true)
    report.maps(counts(1n), false)
    screen.write('^C')
    report.maps(counts(2n), true)
    expect(screen.lines[0]).toBe('counts  1 key, 2 in total')
  })

  it('keeps events above the live view, in order', async () => {
    const screen = new Screen(60, 24)
    const report = new TerminalReport(screen, 50, true)
    report.maps(counts(1n), false)
    report.event('execs', { pid: 1, comm: 'sh' })
    report.event('execs', { pid: 2, comm: 'ls' })
    await new Promise((done) => setImmediate(done))
    expect(screen.lines.slice(0, 3)).toEqual([
      'execs  pid=1  comm=sh',
      'execs  pid=2  comm=ls',
      'counts  1 key, 1 in total',
    ])
  })

  it('never draws more lines, or wider ones, than the window has', () => {
    const screen = new Screen(20, 8)
    const report = new TerminalReport(screen, 50, true)
    const entries = Array.from({ length: 100 }, (_, i) => ({ key: `a long name ${i}`, value: BigInt(i) }))
    for (let i = 0; i < 3; i++)
      report.maps(
        [
          { name: 'one', entries, lost: 5n },
          { name: 'two', entries, lost: undefined },
        ],
        false,
      )
    expect(screen.lines.length).toBeLessThanOrEqual(8)
    for (const line of screen.lines) expect(line.length).toBeLessThanOrEqual(20)
  })

  it('draws nothing over where a command writes to the same screen', () => {
    const screen = new Screen(60, 24)
    const report = new TerminalReport(screen, 50, false)
    report.maps(counts(1n), false)
    screen.write('output of the command\n')
    report.maps(counts(2n), true)
    expect(screen.lines[0]).toBe('output of the command')
    expect(screen.lines[1]).toBe('counts  1 key, 2 in total')
  })

  it('shows losses', () => {
    const screen = new Screen(60, 24)
    const report = new TerminalReport(screen, 50, true)
    report.ended({ reason: 'interrupted', elapsed: 1, events: [{ map: 'execs', received: 4, lost: 1000n }] })
    expect(screen.lines[0]).toBe('execs  4 events, 1,000 lost')
  })
})
