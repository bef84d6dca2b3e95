// Code generation: the IR of a program and of the functions that it calls becomes one sequence of instructions, the
// program first. Holds the limits of the stack over the chain of calls.

import type { TypeBuilder } from '../btf/build.ts'
import type { Diagnostic } from '../diag/diagnostic.ts'
import type { Insn } from '../isa/insn.ts'
import { rowNamed } from '../isa/table.ts'
import type { FuncInfo, LineInfo, ProgramSpec, Relocation } from '../object/spec.ts'
import { atLeast } from '../spec/linux.ts'
import type { Platform } from '../spec/platform.ts'
import { programType, subprogType } from './btf.ts'
import { type Emitted, emit } from './emit.ts'
import { STACK_LIMIT } from './flow.ts'
import type { Builder } from './ir.ts'
import { layout } from './layout.ts'
import type { Lowered, lower } from './lower.ts'
import { optimize } from './opt.ts'
import { allocate } from './regalloc.ts'
import type { Report } from './report.ts'
import type { ProgramEntity } from './scope.ts'
import { select } from './select.ts'
import { toSsa } from './ssa.ts'

/** Frames of one chain of calls (MAX_CALL_FRAMES of include/linux/bpf_verifier.h). */
const MAX_FRAMES = 8
/** The kernel counts frames in steps of 16 bytes with its JIT and of 32 without (kernel/bpf/verifier.c, round_up_stack_depth). */
const FRAME_STEP = 32

interface Context {
  readonly report: Report
  readonly types: TypeBuilder
  readonly platform: Platform
}

interface Generated extends Emitted {
  readonly name: string
  /** Bytes. */
  readonly stack: number
}

/** Instructions with calls; with copies where the calls would need more stack than there is. Throws a Diagnostic. */
export function generate(
  program: ProgramEntity,
  { copied, calling }: ReturnType<typeof lower>,
  context: Context,
): ProgramSpec {
  if (calling && atLeast(context.platform.version, rowNamed('call_local').since)) {
    const parts = partsOf(program, calling, context)
    if (fitsStack(parts)) return link(program, calling, parts, context)
  }
  const parts = partsOf(program, copied, context)
  const [{ stack }] = parts
  if (stack > STACK_LIMIT) throw stackError(program, stack, copied.deepest, context.report)
  return link(program, copied, parts, context)
}

function partsOf(program: ProgramEntity, lowered: Lowered, context: Context): Generated[] {
  return [
    part(program.name, lowered.builder, lowered.deepest.size, context),
    ...lowered.subprogs.map(({ name, builder, deepest }) => part(name, builder, deepest.size, context)),
  ]
}

/** One function: IR to instructions. */
function part(name: string, builder: Builder, frame: number, { report, platform }: Context): Generated {
  toSsa(builder)
  optimize(builder)
  const low = select(builder)
  const allocation = allocate(low)
  layout(low, allocation)
  const emitted = emit(low, allocation, {
    frame,
    far: atLeast(platform.version, rowNamed('ja32').since),
    lineAt: (at) => ({ file: report.file, ...report.position(at) }),
  })
  return { ...emitted, name, stack: frame + 8 * low.spills }
}

/** Whether no chain of calls from the program needs more stack, or more frames, than there are. */
function fitsStack(parts: readonly Generated[]): boolean {
  const byName = new Map(parts.map((each) => [each.name, each]))
  const fits = (each: Generated, bytes: number, frames: number): boolean => {
    const now = bytes + Math.ceil(Math.max(each.stack, 1) / FRAME_STEP) * FRAME_STEP
    if (now > STACK_LIMIT || frames > MAX_FRAMES) return false
    return each.calls.every(({ callee }) => fits(byName.get(callee) as Generated, now, frames + 1))
  }
  return fits(parts[0], 0, 1)
}

/** Puts the functions behind each other and tells the calls where they are. */
function link(
  program: ProgramEntity,
  { subprogs }: Lowered,
  parts: readonly Generated[],
  { types }: Context,
): ProgramSpec {
  const starts = new Map<string, number>()
  let size = 0
  for (const { name, insns } of parts) {
    starts.set(name, size)
    size += insns.length
  }
  const insns: Insn[] = []
  const lines: LineInfo[] = []
  const relocations: Relocation[] = []
  for (const each of parts) {
    const start = insns.length
    for (const insn of each.insns) insns.push(insn)
    for (const { insn, callee } of each.calls) {
      const at = start + insn
      insns[at] = { ...insns[at], imm: (starts.get(callee) as number) - at - 1 }
    }
    lines.push(...each.lines.map((line) => ({ ...line, insn: start + line.insn })))
    relocations.push(...each.relocations.map((relocation) => ({ ...relocation, insn: start + relocation.insn })))
  }
  const functions: FuncInfo[] = [
    { insn: 0, name: program.name, type: programType(types, program.name) },
    ...subprogs.map((subprog) => ({
      insn: starts.get(subprog.name) as number,
      name: subprog.name,
      type: subprogType(types, subprog),
    })),
  ]
  return {
    name: program.name,
    type: program.type,
    section: program.section,
    ...(program.target === undefined ? {} : { target: program.target }),
    insns,
    functions,
    lines,
    relocations,
  }
}

function stackError(program: ProgramEntity, stack: number, deepest: Lowered['deepest'], report: Report): Diagnostic {
  const biggest = [...deepest.slots].sort((a, b) => b.size - a.size).slice(0, 3)
  return report.error(
    program.fn,
    'stack',
    `${program.name} needs ${stack} bytes of stack; a program has ${STACK_LIMIT}`,
    'keep large values in a map with one element, or write them straight into a ring-buffer record',
    biggest.map((slot) => `${slot.name} takes ${slot.size} bytes`),
  )
}
