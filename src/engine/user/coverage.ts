// Coverage: how often each instruction of a program ran, and from that how often each source line did. A line that
// became code but never ran is there with a count of 0; a line that became no code is not there.

import { rowOf } from '../../isa/table.ts'
import type { LineInfo, ProgramSpec } from '../../object/spec.ts'
import type { ObservedMachine, Observer } from './observer.ts'

export interface ProgramCoverage {
  readonly program: ProgramSpec
  /** Executions by slot; the second slot of an lddw stays 0. */
  readonly counts: Float64Array
}

export interface CoveredLine {
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly text: string
  /** How often it was come to, in all copies of a function that was inlined. */
  readonly count: number
  /** How many instructions it became, in all programs, and how many of those ran. */
  readonly insns: number
  readonly executed: number
}

/** What is counted of one program, each by slot. */
interface Counts extends ProgramCoverage {
  /** How often the line was come to here, from another line. Only where line info has an entry. */
  readonly visits: Float64Array
  /** Which entry of the line info it belongs to. */
  readonly entries: readonly (LineInfo | undefined)[]
}

/** Counts while it observes; one may observe several collections. */
export class Coverage implements Observer {
  readonly #programs = new Map<ProgramSpec, Counts>()
  #current: Counts | undefined
  #entry: LineInfo | undefined

  /** Programs that never run count as well: their lines are then all unexecuted. */
  constructor(programs: Iterable<ProgramSpec> = []) {
    for (const program of programs) this.#countsOf(program)
  }

  before(slot: number, { program }: ObservedMachine): void {
    if (program !== this.#current?.program) this.#current = this.#countsOf(program)
    const { counts, visits, entries } = this.#current
    counts[slot]++
    const entry = entries[slot]
    if (entry === this.#entry) return
    if (entry?.insn === slot && !sameLine(entry, this.#entry)) visits[slot]++
    this.#entry = entry
  }

  /** By program. */
  get programs(): ProgramCoverage[] {
    return [...this.#programs.values()].map(({ program, counts }) => ({ program, counts }))
  }

  /** By file and line, in their order. */
  lines(): CoveredLine[] {
    const lines = new Map<string, Tally>()
    for (const { program, counts, visits, entries } of this.#programs.values()) {
      for (const slot of slotsOf(program)) {
        const at = entries[slot]
        if (!at) continue
        const key = `${at.file}:${at.line}`
        const tally = lines.get(key) ?? { at, most: 0, visits: new Map(), insns: 0, executed: 0 }
        lines.set(key, tally)
        tally.insns++
        if (counts[slot] > 0) tally.executed++
        tally.most = Math.max(tally.most, counts[slot])
        tally.visits.set(at.column, (tally.visits.get(at.column) ?? 0) + visits[slot])
      }
    }
    const inOrder = (a: CoveredLine, b: CoveredLine) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1)
    return [...lines.values()].map(covered).sort(inOrder)
  }

  #countsOf(program: ProgramSpec): Counts {
    const known = this.#programs.get(program)
    if (known) return known
    const { length } = program.insns
    const fresh = {
      program,
      counts: new Float64Array(length),
      visits: new Float64Array(length),
      entries: entriesOf(program),
    }
    this.#programs.set(program, fresh)
    return fresh
  }
}

interface Tally {
  readonly at: LineInfo
  /** The largest count of any of its instructions. */
  most: number
  /** By the column at which it was come to. */
  readonly visits: Map<number, number>
  insns: number
  executed: number
}

/**
 * Visits in the same column add up: those are the copies of a function that was inlined. Those in different columns do
 * not: a line that a call cuts in two is come to again when the call is over.
 */
const covered = ({ at: { file, line, text }, most, visits, insns, executed }: Tally): CoveredLine => ({
  file,
  line,
  text,
  count: Math.max(most, ...visits.values()),
  insns,
  executed,
})

const sameLine = (a: LineInfo, b: LineInfo | undefined): boolean => a.line === b?.line && a.file === b.file

function* slotsOf({ insns }: ProgramSpec): Iterable<number> {
  for (let slot = 0; slot < insns.length; slot += rowOf(insns[slot])?.slots ?? 1) yield slot
}

/** The entry of the line info that each slot belongs to. */
function entriesOf({ insns, lines }: ProgramSpec): (LineInfo | undefined)[] {
  let next = 0
  return insns.map((_, slot) => {
    while (next < lines.length && lines[next].insn <= slot) next++
    return lines[next - 1]
  })
}
