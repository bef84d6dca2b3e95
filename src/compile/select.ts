// Instruction selection: SSA nodes become steps over virtual registers. Constants and addresses are
// folded into immediates and offsets where eBPF has a place for them and made at their use otherwise;
// phis become copies at the end of the predecessors.

import type { CondOp } from '../isa/machine.ts'
import type { Block, Builder, Node } from './ir.ts'
import type { Arg, Base, Constant, LowBlock, LowProgram, Reg, Step } from './low.ts'
import { splitCriticalEdges } from './ssa.ts'

export function select(builder: Builder): LowProgram {
  splitCriticalEdges(builder)
  const selector = new Selector()
  const { graph } = builder
  for (const block of graph.blocks) selector.block(block)
  return {
    name: graph.name,
    blocks: graph.blocks.map((block) => selector.lowBlock(block)),
    regs: selector.regs,
    spills: 0,
  }
}

/** The condition with its operands exchanged. */
const FLIPPED: Readonly<Record<CondOp, CondOp>> = {
  eq: 'eq',
  ne: 'ne',
  set: 'set',
  gt: 'lt',
  ge: 'le',
  lt: 'gt',
  le: 'ge',
  sgt: 'slt',
  sge: 'sle',
  slt: 'sgt',
  sle: 'sge',
}

const fits32 = (value: bigint): boolean => BigInt.asIntN(32, value) === value

/** Whether the offset field of an instruction holds it. */
const isOffset = (offset: number): boolean => offset >= -0x8000 && offset <= 0x7fff

class Selector {
  regs = 0
  private readonly lowBlocks = new Map<Block, LowBlock>()
  private readonly regOf = new Map<Node, Reg>()
  private steps: Step[] = []

  lowBlock(block: Block): LowBlock {
    let low = this.lowBlocks.get(block)
    if (!low) {
      low = { id: block.id, steps: [] }
      this.lowBlocks.set(block, low)
    }
    return low
  }

  private fresh(): Reg {
    return { id: this.regs++, short: false }
  }

  private reg(node: Node): Reg {
    let reg = this.regOf.get(node)
    if (!reg) {
      reg = this.fresh()
      this.regOf.set(node, reg)
    }
    return reg
  }

  block(block: Block): void {
    this.steps = this.lowBlock(block).steps
    for (const node of block.nodes) this.node(node)
    this.end(block)
  }

  private node(node: Node): void {
    const { operation, args, at } = node
    switch (operation.op) {
      case 'const':
      case 'slot':
      case 'map':
      case 'mapValue':
      case 'phi':
        return
      case 'get':
      case 'set':
        throw new Error('a variable is left after SSA construction')
      case 'ctx':
        this.steps.push({ op: 'entry', from: 1, d: this.reg(node), spill: undefined, at })
        return
      case 'param':
        this.steps.push({ op: 'entry', from: operation.index + 1, d: this.reg(node), spill: undefined, at })
        return
      case 'bin': {
        const a = this.value(args[0], at)
        const b = this.valueOrImm(args[1], at, operation.width === 32)
        this.steps.push({ op: 'alu', bin: operation.bin, width: operation.width, d: this.reg(node), a, b, at })
        return
      }
      case 'extend': {
        const { from, signed } = operation
        this.steps.push({ op: 'extend', from, signed, d: this.reg(node), a: this.value(args[0], at), at })
        return
      }
      case 'swap':
        this.steps.push({ op: 'swap', bits: operation.bits, d: this.reg(node), a: this.value(args[0], at), at })
        return
      case 'load': {
        const { base, offset } = this.address(args[0], operation.offset, at)
        this.steps.push({ op: 'load', size: operation.size, d: this.reg(node), base, offset, at })
        return
      }
      case 'store': {
        const { base, offset } = this.address(args[0], operation.offset, at)
        const a = this.valueOrImm(args[1], at, operation.size < 8)
        this.steps.push({ op: 'store', size: operation.size, base, offset, a, at })
        return
      }
      case 'atomicAdd': {
        const { base, offset } = this.address(args[0], operation.offset, at)
        this.steps.push({ op: 'atomicAdd', size: operation.size, base, offset, a: this.value(args[1], at), at })
        return
      }
      case 'call':
      case 'invoke':
        this.steps.push({
          op: 'call',
          callee: operation.op === 'call' ? operation.id : operation.callee,
          args: args.map((arg) => this.arg(arg)),
          d: this.reg(node),
          at,
        })
    }
  }

  /** What can be made anywhere without reading a register. */
  private constant(node: Node): Constant | undefined {
    const { operation } = node
    switch (operation.op) {
      case 'const':
        return { kind: 'imm', value: operation.value }
      case 'slot':
        return { kind: 'slot', slot: operation.slot, offset: 0 }
      case 'map':
        return { kind: 'map', map: operation.map }
      case 'mapValue':
        return { kind: 'mapValue', map: operation.map, offset: operation.offset }
      case 'bin': {
        const [a, b] = node.args
        if (a?.operation.op !== 'slot' || b?.operation.op !== 'const' || operation.bin !== 'add') return undefined
        return { kind: 'slot', slot: a.operation.slot, offset: Number(b.operation.value) }
      }
      default:
        return undefined
    }
  }

  private value(node: Node, at: number): Reg {
    const constant = this.constant(node)
    if (!constant) return this.reg(node)
    const d = this.fresh()
    this.steps.push({ op: 'make', d, constant, at })
    return d
  }

  /** An immediate where it fits; `low` says that only the low 32 bits count. */
  private valueOrImm(node: Node, at: number, low: boolean): Reg | number {
    const { operation } = node
    if (operation.op === 'const') {
      const value = low ? BigInt.asIntN(32, operation.value) : operation.value
      if (fits32(value)) return Number(value)
    }
    return this.value(node, at)
  }

  private arg(node: Node): Arg {
    return this.constant(node) ?? { kind: 'reg', reg: this.reg(node) }
  }

  /** Folds `x + constant` and stack slots into the offset of a memory access. */
  private address(node: Node, offset: number, at: number): { base: Base; offset: number } {
    const { operation, args } = node
    if (operation.op === 'slot') return { base: 'fp', offset: offset - operation.slot.top }
    if (operation.op === 'bin' && operation.bin === 'add' && operation.width === 64) {
      const added = args[1].operation
      if (added.op === 'const') {
        const total = offset + Number(added.value)
        if (isOffset(total)) return this.address(args[0], total, at)
      }
    }
    const base = this.value(node, at)
    if (isOffset(offset)) return { base, offset }
    const moved = this.fresh()
    this.steps.push({ op: 'alu', bin: 'add', width: 64, d: moved, a: base, b: offset, at })
    return { base: moved, offset: 0 }
  }

  private end(block: Block): void {
    const { end } = block
    if (!end) throw new Error('a block without an end reached selection')
    if (end.op === 'exit') {
      this.steps.push({ op: 'exit', a: this.valueOrImm(end.value, end.at, false), at: end.at })
      return
    }
    if (end.op === 'jump') {
      this.copies(block, end.to, end.at)
      this.steps.push({ op: 'jump', to: this.lowBlock(end.to), at: end.at })
      return
    }
    const swap = end.a.operation.op === 'const'
    const a = this.value(swap ? end.b : end.a, end.at)
    const b = this.valueOrImm(swap ? end.a : end.b, end.at, false)
    const cond = swap ? FLIPPED[end.cond] : end.cond
    this.steps.push({ op: 'branch', cond, a, b, yes: this.lowBlock(end.yes), no: this.lowBlock(end.no), at: end.at })
  }

  /** The phis of `to`, as moves that happen at once, put in an order in which none destroys another's source. */
  private copies(from: Block, to: Block, at: number): void {
    const index = to.preds.indexOf(from)
    let moves: { d: Reg; a: Reg }[] = []
    const constants: { d: Reg; node: Node }[] = []
    for (const phi of to.nodes) {
      if (phi.operation.op !== 'phi') break
      const source = phi.args[index]
      const d = this.reg(phi)
      if (this.constant(source)) constants.push({ d, node: source })
      else if (this.reg(source) !== d) moves.push({ d, a: this.reg(source) })
    }
    while (moves.length > 0) {
      const free = moves.find((move) => !moves.some((other) => other !== move && other.a === move.d))
      if (free) {
        this.steps.push({ op: 'mov', d: free.d, a: free.a, at })
        moves = moves.filter((move) => move !== free)
        continue
      }
      // Only cycles are left: one source is saved, which frees its register.
      const saved = this.fresh()
      const { a } = moves[0]
      this.steps.push({ op: 'mov', d: saved, a, at })
      moves = moves.map((move) => (move.a === a ? { d: move.d, a: saved } : move))
    }
    for (const { d, node } of constants) {
      const constant = this.constant(node)
      if (constant) this.steps.push({ op: 'make', d, constant, at })
    }
  }
}
