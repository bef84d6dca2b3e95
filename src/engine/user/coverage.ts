// Coverage: how often each instruction of a program ran, and from that how often each source line did. A line that
// became code but never ran is there with a count of 0; a line that became no code is not there.

import { rowOf } from '../../isa/table.ts'
import type { ProgramSpec } from '../../object/spec.ts'
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
  /** How often it was come to: the largest count of any of its instructions. */
  readonly count: number
  /** How many instructions it became, in all programs, and how many of those ran. */
  readonly insns: number
  readonly executed: number
}

/** Counts while it observes; one may observe several collections. */
export class Coverage implements Observer {
  readonly #programs = new Map<ProgramSpec, Float64Array>()
  #current: ProgramSpec | undefined
  #counts = new Float64Array(0)

  /** Programs that never run count as well: their lines are then all unexecuted. */
  constructor(programs: Iterable<ProgramSpec> = []) {
    for (const program of programs) this.#countsOf(program)
  }

  before(slot: number, { program }: ObservedMachine): void {
    if (program !== this.#current) {
      this.#counts = this.#countsOf(program)
      this.#current = program
    }
    this.#counts[slot]++
  }

  /** By program. */
  get programs(): ProgramCoverage[] {
    return [...this.#programs].map(([program, counts]) => ({ program, counts }))
  }

  /** By file and line, in their order. */
  lines(): CoveredLine[] {
    const lines = new Map<
      string,
      { file: string; line: number; text: string; count: number; insns: number; executed: number }
    >()
    for (const { program, counts } of this.programs) {
      for (const [slot, { file, line, text }] of sources(program)) {
        const key = `${file}:${line}`
        const entry = lines.get(key) ?? { file, line, text, count: 0, insns: 0, executed: 0 }
        entry.count = Math.max(entry.count, counts[slot])
        entry.insns++
        if (counts[slot] > 0) entry.executed++
        lines.set(key, entry)
      }
    }
    return [...lines.values()].sort((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1))
  }

  #countsOf(program: ProgramSpec): Float64Array<ArrayBuffer> {
    const counts = (this.#programs.get(program) as Float64Array<ArrayBuffer>) ?? new Float64Array(program.insns.length)
    this.#programs.set(program, counts)
    return counts
  }
}

/** Each instruction of a program with the line that it came from. */
function* sources({ insns, lines }: ProgramSpec): Iterable<[slot: number, line: ProgramSpec['lines'][number]]> {
  let next = 0
  for (let slot = 0; slot < insns.length; slot += rowOf(insns[slot])?.slots ?? 1) {
    while (next < lines.length && lines[next].insn <= slot) next++
    if (next > 0) yield [slot, lines[next - 1]]
  }
}
