// --coverage: which source lines of a probe ran and how often. Shared by waggle run and waggle test.

import { readFileSync } from 'node:fs'
import type { Coverage, CoveredLine } from '../engine/user/index.ts'
import { group } from './report/table.ts'
import type { Sink } from './sink.ts'

/** Every line of every source file, with its count where it became instructions. */
export function reportCoverage(coverage: Coverage, sink: Sink, json: boolean): void {
  const all = coverage.lines()
  for (const file of new Set(all.map((line) => line.file))) {
    const lines = all.filter((line) => line.file === file)
    if (json) for (const line of lines) sink.write(`${JSON.stringify({ type: 'coverage', ...line })}\n`)
    else sink.write(`\n${textOf(file, lines, sink)}`)
  }
}

/** What a line that never ran has in place of its count. */
const NEVER = '!'

function textOf(file: string, lines: readonly CoveredLine[], { style }: Sink): string {
  const covered = new Map(lines.map((line) => [line.line, line]))
  const sum = (of: (line: CoveredLine) => number) => lines.reduce((total, line) => total + of(line), 0)
  const [ran, insns, executed] = [sum(({ count }) => (count > 0 ? 1 : 0)), sum((l) => l.insns), sum((l) => l.executed)]
  const percent = Math.floor((ran / lines.length) * 100)
  const counts = `${ran} of ${lines.length} lines (${percent} %), ${executed} of ${insns} instructions`
  const width = Math.max(5, ...lines.map(({ count }) => group(count).length))
  const digits = String(lines.at(-1)?.line ?? 0).length
  const rows = sourceLines(file, lines).map((text, i) => {
    const line = covered.get(i + 1)
    const number = style('2', String(i + 1).padStart(digits))
    if (!line) return `${number}  ${' '.repeat(width)}  ${style('2', text)}`
    if (line.count === 0) return `${number}  ${style('1;31', NEVER.padStart(width))}  ${style('31', text)}`
    return `${number}  ${style('32', group(line.count).padStart(width))}  ${text}`
  })
  return [`${style('1', file)}  ${counts}`, ...rows.map((row) => row.trimEnd()), ''].join('\n')
}

/** The file's, or, where it is gone, as much of it as the instructions remember. */
function sourceLines(file: string, lines: readonly CoveredLine[]): string[] {
  try {
    return readFileSync(file, 'utf8')
      .trimEnd()
      .split(/\r\n|\n|\r/)
  } catch {
    const out: string[] = new Array(lines.at(-1)?.line ?? 0).fill('')
    for (const { line, text } of lines) out[line - 1] = text
    return out
  }
}
