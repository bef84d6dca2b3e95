// Emission: steps with their registers become instructions, through the table of src/isa. Jumps get
// their offsets, relocations and line info their places.

import { Diagnostic } from '../diag/diagnostic.ts'
import type { Insn, Size } from '../isa/insn.ts'
import type { CondOp } from '../isa/machine.ts'
import { type InsnName, make, makeWide } from '../isa/table.ts'
import type { LineInfo, Relocation } from '../object/spec.ts'
import type { Arg, Base, Constant, LowBlock, LowProgram, Reg, Spill, Step } from './low.ts'
import { type Allocation, commutes } from './regalloc.ts'

export interface Emitted {
  readonly insns: Insn[]
  readonly relocations: Relocation[]
  readonly lines: LineInfo[]
  /** Calls of functions of the program, whose places are not known here. */
  readonly calls: { readonly insn: number; readonly callee: string }[]
}

const FP = 10
/** Where a circle of moves of parameters may pass: at most five go, and nothing else is in these yet. */
const SPARE = [0, 9, 8, 7, 6]

interface Move {
  readonly dst: number
  readonly src: number
}

const LETTER: Readonly<Record<Size, 'b' | 'h' | 'w' | 'dw'>> = { 1: 'b', 2: 'h', 4: 'w', 8: 'dw' }
const INVERSE: Readonly<Partial<Record<CondOp, CondOp>>> = {
  eq: 'ne',
  ne: 'eq',
  gt: 'le',
  le: 'gt',
  ge: 'lt',
  lt: 'ge',
  sgt: 'sle',
  sle: 'sgt',
  sge: 'slt',
  slt: 'sge',
}
/** Whether a jump of 16 bits reaches. */
const isNear = (offset: number): boolean => offset >= -0x8000 && offset <= 0x7fff

export interface EmitOptions {
  /** Bytes of the slots: spills lie below them. */
  readonly frame: number
  /** Whether the platform has `gotol`, whose offset has 32 bits. */
  readonly far: boolean
  /** The line of an offset into the source. */
  readonly lineAt: (at: number) => Omit<LineInfo, 'insn'>
}

/** Throws a Diagnostic where a jump does not reach and the platform has none that does. */
export function emit(program: LowProgram, allocation: Allocation, options: EmitOptions): Emitted {
  // Every round makes jumps longer, never shorter, so this ends.
  const far = new Set<number>()
  for (;;) {
    const emitter = new Emitter(allocation, options, far)
    program.blocks.forEach((block, i) => {
      emitter.block(block, program.blocks[i + 1])
    })
    const short = emitter.patch()
    const { insns, relocations, lines, calls } = emitter
    if (short.length === 0) return { insns, relocations, lines, calls }
    if (!options.far) {
      throw new Diagnostic({
        code: 'compile/too-large',
        message: `${program.name} is ${insns.length} instructions long, and a jump in it goes further than ${0x7fff}`,
        help: 'Linux has longer jumps since 6.6; before, split the program, or do in a loop what is written out',
      })
    }
    for (const jump of short) far.add(jump)
  }
}

class Emitter {
  readonly insns: Insn[] = []
  readonly relocations: Relocation[] = []
  readonly lines: LineInfo[] = []
  readonly calls: { insn: number; callee: string }[] = []
  private readonly starts = new Map<LowBlock, number>()
  /** In the order of emission, which is the same in every round. */
  private readonly jumps: { at: number; to: LowBlock }[] = []

  private readonly allocation: Allocation
  private readonly options: EmitOptions
  /** Indices of the jumps that 16 bits do not reach. */
  private readonly far: ReadonlySet<number>

  constructor(allocation: Allocation, options: EmitOptions, far: ReadonlySet<number>) {
    this.allocation = allocation
    this.options = options
    this.far = far
  }

  block(block: LowBlock, next: LowBlock | undefined): void {
    this.starts.set(block, this.insns.length)
    this.entries(block)
    for (const step of block.steps) {
      const before = this.insns.length
      this.step(step, next)
      if (this.insns.length > before) this.line(step.at, before)
    }
  }

  /** Fills in the offsets. Gives the indices of jumps that do not reach. */
  patch(): number[] {
    const short: number[] = []
    this.jumps.forEach(({ at, to }, i) => {
      const offset = (this.starts.get(to) as number) - at - 1
      if (this.far.has(i)) this.insns[at] = make('ja32', { imm: offset })
      else if (isNear(offset)) this.insns[at] = { ...this.insns[at], off: offset }
      else short.push(i)
    })
    return short
  }

  private line(at: number, insn: number): void {
    const line = this.options.lineAt(at)
    const last = this.lines[this.lines.length - 1]
    if (last && last.line === line.line && last.file === line.file) return
    this.lines.push({ insn, ...line })
  }

  private physical(reg: Reg): number {
    const found = this.allocation.get(reg)
    if (found === undefined) throw new Error('a virtual register was left without a place')
    return found
  }

  private push(name: InsnName, operands: { dst?: number; src?: number; off?: number; imm?: number } = {}): void {
    this.insns.push(make(name, operands))
  }

  private move(dst: number, src: number): void {
    if (dst !== src) this.push('mov64_reg', { dst, src })
  }

  private spillOffset(spill: Spill): number {
    return -this.options.frame - 8 * (spill.index + 1)
  }

  private base(base: Base): number {
    return base === 'fp' ? FP : this.physical(base)
  }

  private step(step: Step, next: LowBlock | undefined): void {
    switch (step.op) {
      case 'entry':
        // All at once, at the start of the block.
        return
      case 'mov':
        this.move(this.physical(step.d), this.physical(step.a))
        return
      case 'make':
        this.constant(this.physical(step.d), step.constant)
        return
      case 'alu':
        this.alu(step)
        return
      case 'extend':
        this.extend(step)
        return
      case 'swap': {
        const dst = this.physical(step.d)
        this.move(dst, this.physical(step.a))
        this.push(`be${step.bits}`, { dst })
        return
      }
      case 'load':
        this.push(`ldx${LETTER[step.size]}`, {
          dst: this.physical(step.d),
          src: this.base(step.base),
          off: step.offset,
        })
        return
      case 'store':
        this.store(step)
        return
      case 'atomicAdd': {
        const name = step.size === 8 ? 'atomic_add64' : 'atomic_add32'
        this.push(name, { dst: this.base(step.base), src: this.physical(step.a), off: step.offset })
        return
      }
      case 'call':
        this.args(step.args)
        this.call(step.callee)
        if (step.d && this.allocation.has(step.d)) this.move(this.physical(step.d), 0)
        return
      case 'fill':
        this.push('ldxdw', { dst: this.physical(step.d), src: FP, off: this.spillOffset(step.spill) })
        return
      case 'keep':
        this.push('stxdw', { dst: FP, src: this.physical(step.a), off: this.spillOffset(step.spill) })
        return
      case 'branch':
        this.branch(step, next)
        return
      case 'jump':
        if (step.to !== next) this.jump('ja', {}, step.to)
        return
      case 'exit':
        if (typeof step.a === 'number') this.push('mov64_imm', { dst: 0, imm: step.a })
        else this.move(0, this.physical(step.a))
        this.push('exit')
    }
  }

  private constant(dst: number, constant: Constant): void {
    switch (constant.kind) {
      case 'imm': {
        const { value } = constant
        if (BigInt.asIntN(32, value) === value) this.push('mov64_imm', { dst, imm: Number(value) })
        else if (BigInt.asUintN(32, value) === value) {
          this.push('mov32_imm', { dst, imm: Number(BigInt.asIntN(32, value)) })
        } else {
          const imm = Number(BigInt.asIntN(32, value))
          this.insns.push(...makeWide('lddw', { dst, imm }, Number(BigInt.asIntN(32, value >> 32n))))
        }
        return
      }
      case 'slot':
        this.push('mov64_reg', { dst, src: FP })
        this.push('add64_imm', { dst, imm: constant.offset - constant.slot.top })
        return
      case 'map':
        this.relocations.push({ insn: this.insns.length, kind: 'map', map: constant.map })
        this.insns.push(...makeWide('lddw_map_fd', { dst }))
        return
      case 'mapValue': {
        const { map, offset } = constant
        this.relocations.push({ insn: this.insns.length, kind: 'map_value', map, offset })
        this.insns.push(...makeWide('lddw_map_value', { dst }, offset))
      }
    }
  }

  private alu(step: Step & { op: 'alu' }): void {
    const dst = this.physical(step.d)
    const a = this.physical(step.a)
    if (typeof step.b === 'number') {
      this.move(dst, a)
      this.push(`${step.bin}${step.width}_imm`, { dst, imm: step.b })
      return
    }
    const b = this.physical(step.b)
    if (dst === b && dst !== a) {
      if (!commutes(step.bin)) throw new Error('the right operand lost its register too early')
      this.push(`${step.bin}${step.width}_reg`, { dst, src: a })
      return
    }
    this.move(dst, a)
    this.push(`${step.bin}${step.width}_reg`, { dst, src: b })
  }

  private extend(step: Step & { op: 'extend' }): void {
    const dst = this.physical(step.d)
    const a = this.physical(step.a)
    if (step.from === 32 && !step.signed) {
      this.push('mov32_reg', { dst, src: a })
      return
    }
    this.move(dst, a)
    if (!step.signed) {
      this.push('and64_imm', { dst, imm: step.from === 8 ? 0xff : 0xffff })
      return
    }
    // Shifts, not movsx: kernels before 6.6 do not have it.
    this.push('lsh64_imm', { dst, imm: 64 - step.from })
    this.push('arsh64_imm', { dst, imm: 64 - step.from })
  }

  private store(step: Step & { op: 'store' }): void {
    const letter = LETTER[step.size]
    const dst = this.base(step.base)
    if (typeof step.a === 'number') this.push(`st${letter}`, { dst, off: step.offset, imm: step.a })
    else this.push(`stx${letter}`, { dst, off: step.offset, src: this.physical(step.a) })
  }

  private call(callee: number | string): void {
    if (typeof callee === 'number') {
      this.push('call_helper', { imm: callee })
      return
    }
    this.calls.push({ insn: this.insns.length, callee })
    this.push('call_local', { imm: 0 })
  }

  /** What arrives in registers: what is spilled first, since that leaves its register free. */
  private entries(block: LowBlock): void {
    const entries = block.steps.filter((step) => step.op === 'entry')
    const before = this.insns.length
    const moves: Move[] = []
    for (const { d, from, spill } of entries) {
      if (spill) this.push('stxdw', { dst: FP, src: from, off: this.spillOffset(spill) })
      else if (d && this.allocation.has(d) && this.physical(d) !== from)
        moves.push({ dst: this.physical(d), src: from })
    }
    const free = SPARE.find((reg) => !moves.some(({ dst, src }) => dst === reg || src === reg)) ?? 0
    this.atOnce(moves, free)
    if (this.insns.length > before) this.line(entries[0].at, before)
  }

  /** Moves that happen at once; where they go in a circle, through `free`. */
  private atOnce(wanted: readonly Move[], free: number): void {
    let moves = [...wanted]
    while (moves.length > 0) {
      const next = moves.find((move) => !moves.some((other) => other !== move && other.src === move.dst))
      if (next) {
        this.move(next.dst, next.src)
        moves = moves.filter((move) => move !== next)
        continue
      }
      const { src } = moves[0]
      this.move(free, src)
      moves = moves.map((move) => (move.src === src ? { dst: move.dst, src: free } : move))
    }
  }

  /** Registers first; then what is made in place. */
  private args(args: readonly Arg[]): void {
    const moves: Move[] = []
    args.forEach((arg, i) => {
      if (arg.kind !== 'reg') return
      const src = this.physical(arg.reg)
      if (src !== i + 1) moves.push({ dst: i + 1, src })
    })
    // The call writes r0, so it is free before.
    this.atOnce(moves, 0)
    args.forEach((arg, i) => {
      if (arg.kind === 'spill') this.push('ldxdw', { dst: i + 1, src: FP, off: this.spillOffset(arg.spill) })
      else if (arg.kind !== 'reg') this.constant(i + 1, arg)
    })
  }

  /** A far jump is a gotol; a condition jumps to it, and past it otherwise. */
  private jump(name: InsnName, operands: { dst?: number; src?: number; imm?: number }, to: LowBlock): void {
    const isFar = this.far.has(this.jumps.length)
    if (isFar && name !== 'ja') {
      this.push(name, { ...operands, off: 1 })
      this.push('ja', { off: 1 })
    }
    this.jumps.push({ at: this.insns.length, to })
    this.push(name, operands)
  }

  private branch(step: Step & { op: 'branch' }, next: LowBlock | undefined): void {
    const inverse = INVERSE[step.cond]
    const invert = step.yes === next && inverse !== undefined
    const cond = invert ? inverse : step.cond
    const to = invert ? step.no : step.yes
    const other = invert ? step.yes : step.no
    const dst = this.physical(step.a)
    if (typeof step.b === 'number') this.jump(`j${cond}64_imm`, { dst, imm: step.b }, to)
    else this.jump(`j${cond}64_reg`, { dst, src: this.physical(step.b) }, to)
    if (other !== next) this.jump('ja', {}, other)
  }
}
