// The report: a refusal as a Diagnostic that points into the source: the line with a caret where there is line
// info, what was known of the registers, the branches that led there, and the usual repair.

import { Diagnostic, type Location, type Note } from '../diag/diagnostic.ts'
import { format } from '../isa/disassemble.ts'
import { rowOf } from '../isa/table.ts'
import type { LineInfo, ProgramSpec } from '../object/spec.ts'
import { describe } from './assert-memory.ts'
import type { Env } from './env.ts'
import type { Refusal } from './refusal.ts'
import { isConst, scalarText } from './scalar.ts'
import type { State, Step, Value } from './state.ts'
import { spilled } from './state.ts'

/** Branches of the path that are told, from the last back. */
const TOLD = 8

/** The line of source that an instruction belongs to. */
export function lineAt(program: ProgramSpec, insn: number): LineInfo | undefined {
  let found: LineInfo | undefined
  for (const line of program.lines) {
    if (line.insn > insn) break
    found = line
  }
  return found
}

function locationOf(line: LineInfo | undefined): Location | undefined {
  if (!line) return undefined
  const { file, text } = line
  const column = Math.max(1, line.column)
  const rest = text.slice(column - 1).trimEnd()
  return { file, line: line.line, column, length: Math.max(1, rest.length), text }
}

/** What a register holds, short: as the kernel's log names it, with the words of the source where it has them. */
export function valueText(value: Value): string {
  if (value.kind === 'scalar') return scalarText(value.n)
  const off = value.off === 0 ? '' : value.off > 0 ? `+${value.off}` : `${value.off}`
  const variable = isConst(value.n) && value.n.umax === 0n ? '' : `+(${scalarText(value.n)})`
  const range = value.kind === 'packet' && value.range > 0 ? `, ${value.range} bytes checked` : ''
  const name = { stack: 'fp', packet: 'data', packet_end: 'data_end', packet_meta: 'data_meta', ctx: 'ctx' } as const
  const base = value.kind in name ? name[value.kind as keyof typeof name] : describe(value)
  return `${base}${off}${variable}${range}`
}

/** All that is known in the innermost frame, in one line. */
export function stateText(state: State): string {
  const { regs, stack } = state.frame
  const known = regs.flatMap((value, r) => (value && r !== 10 ? [`r${r} = ${valueText(value)}`] : []))
  for (const [i, slot] of stack.entries()) {
    const value = slot && spilled(slot)
    if (value) known.push(`fp-${8 * (i + 1)} = ${valueText(value)}`)
  }
  return known.length > 0 ? known.join(', ') : 'nothing'
}

function pathNotes(env: Env, state: State): Note[] {
  const steps: Step[] = []
  for (let step = state.trace; step && steps.length < TOLD; step = step.before) steps.push(step)
  return steps.reverse().map(({ insn, taken }) => {
    const at = locationOf(lineAt(env.program, insn))
    const text = `${instructionText(env, insn)}: ${taken ? 'taken' : 'not taken'}`
    return at ? { message: `on the way, ${text}`, at } : { message: `on the way, ${text}` }
  })
}

/** What is no instruction has no text. */
function instructionText(env: Env, insn: number): string {
  const slot = env.insns[insn]
  if (!slot || !rowOf(slot)) return `instruction ${insn}`
  return `instruction ${insn} (${format(slot, env.insns[insn + 1])})`
}

/** The Diagnostic of a refusal; `state` is the one before the instruction, if a path led there. */
export function report(env: Env, refusal: Refusal, state: State | undefined): Diagnostic {
  const insn = refusal.insn ?? state?.pc ?? 0
  const notes: (Note | string)[] = [`at ${instructionText(env, insn)} of \`${env.program.name}\``]
  if (state) notes.push(...pathNotes(env, state), `known there: ${stateText(state)}`)
  const at = locationOf(lineAt(env.program, insn))
  const common = { code: `verify/${refusal.code}`, message: refusal.message, notes }
  return new Diagnostic({ ...common, ...(at && { at }), ...(refusal.help !== undefined && { help: refusal.help }) })
}
