// The translation of one function: the machine of src/isa/machine.ts whose values are pieces of WebAssembly, and the
// sink that the structure of its graph is written to. Registers are local variables. A value is not computed before
// something is done with it, so that what uses it can ask for 32 or 64 bits of it.

import type { Size, Width } from '../../../isa/insn.ts'
import type { AtomicOp, BinOp, CallKind, CondOp, LddwKind, Machine } from '../../../isa/machine.ts'
import type { Code as Program, Step } from '../code.ts'
import { STACK_SIZE } from '../stacks.ts'
import {
  binary,
  compare,
  LOAD,
  LOAD_SIGNED,
  opcodeOf,
  SIGN_EXTEND,
  STORE,
  swap16,
  swap32,
  swap64,
} from './arithmetic.ts'
import { callHelper } from './calls.ts'
import type { Facts, Known, State } from './facts.ts'
import { FAULT, Frame, lastFrame, type Plan, type Unit } from './frame.ts'
import { Guard } from './guard.ts'
import { blockLength, SEES } from './scan.ts'
import { type Sink, structure } from './structure.ts'
import { type Code, OP, TYPE } from './wasm.ts'

/** A value that is still to be computed. */
export interface Value extends Known {
  /** Puts all of it on the stack, as an i64. */
  wide(): void
  /** Puts its low 32 bits on the stack, as an i32. */
  low(): void
}

/** BPF_MAX_LOOPS: how often one frame may pass a may_goto. */
const MAX_GOTOS = 8 * 1024 * 1024
const NO_REG = -1
/** The most fuel that is spent at once. */
const MAX_SPEND = 2 ** 30
/** How far up the dominator tree the length of a loop is added up. */
const MAX_CHAIN = 64

export function translate(program: Program, unit: Unit, plan: Plan): Code {
  return new Translator(program, unit, plan).code()
}

export class Translator implements Machine<Value>, Sink {
  readonly frame: Frame
  readonly guard: Guard
  readonly facts: Facts
  readonly #program: Program
  readonly #unit: Unit
  readonly #plan: Plan
  readonly #code: Code
  readonly #states: readonly (State | undefined)[]
  #step: Step
  #slot = 0

  constructor(program: Program, unit: Unit, plan: Plan) {
    this.#program = program
    this.#unit = unit
    this.#plan = plan
    this.frame = new Frame(unit, plan)
    this.#code = this.frame.code
    this.facts = plan.facts
    this.#states = plan.states
    this.guard = new Guard(this.frame, this.facts)
    this.#step = program.steps[0]!
  }

  code(): Code {
    this.#prologue()
    structure(this.#plan.func.graph, this)
    this.#code.op(OP.unreachable)
    this.#code.end()
    return this.#code
  }

  /** The slot of the instruction that is being translated. */
  get slot(): number {
    return this.#slot
  }

  get step(): Step {
    return this.#step
  }

  #prologue(): void {
    const { func, fuel } = this.#plan
    const code = this.#code
    if (fuel) {
      code.getGlobal(this.#unit.fuel)
      code.set(this.#fuel)
      // Loops that are not counted round by round are paid for here.
      const { bounds, length } = this.#plan
      this.#spend(bounds.size > 0 && Number.isFinite(length) ? length : this.#length(0), func.entry)
    }
    if (func.sees & SEES.mayGoto) {
      code.i32(MAX_GOTOS)
      code.set(this.frame.temp('gotos', TYPE.i32))
    }
    if (this.#unit.checked && func.reads & (1 << 10)) {
      this.frame.start()
      code.i32(0)
      code.i32(STACK_SIZE)
      code.fill()
    }
    this.guard.notePacket()
  }

  get #fuel(): number {
    return this.frame.temp('fuel', TYPE.i64)
  }

  /** Instructions of a block, and of what it calls that does not count for itself. */
  #length(block: number): number {
    return blockLength(this.#plan.func, block, this.#unit.effects, (entry) => {
      const callee = this.#unit.functions.get(entry)
      return callee === undefined || callee.fuel ? 0 : callee.length
    })
  }

  #spend(amount: number, slot: number): void {
    const code = this.#code
    code.get(this.#fuel)
    code.i64(amount)
    code.op(OP.i64_sub)
    code.tee(this.#fuel)
    code.i64(0)
    code.op(OP.i64_lt_s)
    this.frame.failIf({ slot })
  }

  /** Before and after something that counts fuel itself. */
  giveFuel(): void {
    if (!this.#plan.fuel) return
    this.#code.get(this.#fuel)
    this.#code.setGlobal(this.#unit.fuel)
  }

  takeFuel(): void {
    if (!this.#plan.fuel) return
    this.#code.getGlobal(this.#unit.fuel)
    this.#code.set(this.#fuel)
  }

  // The sink.

  block(): void {
    this.#code.block(OP.block)
  }
  loop(): void {
    this.#code.block(OP.loop)
  }
  if(): void {
    this.#code.block(OP.if)
  }
  else(): void {
    this.#code.op(OP.else)
  }
  end(): void {
    this.#code.end()
  }
  br(depth: number): void {
    this.#code.br(depth)
  }
  brIf(depth: number): void {
    this.#code.brIf(depth)
  }
  not(): void {
    this.#code.op(OP.i32_eqz)
  }

  choose(block: number): void {
    this.#code.i32(block)
    this.#code.set(this.frame.temp('block', TYPE.i32))
  }

  dispatch(count: number): void {
    const code = this.#code
    code.get(this.frame.temp('block', TYPE.i32))
    code.op(OP.br_table)
    code.unsigned(count - 1)
    for (let i = 0; i < count; i++) code.unsigned(i)
  }

  /** What surely runs each time round: the blocks that dominate the end of the loop, up to its start. */
  back(from: number, to: number): void {
    const { bounds } = this.#plan
    if (!this.#plan.fuel || bounds.has(to)) return
    const { idom } = this.#plan.func.graph
    let amount = this.#length(from)
    for (let block = from, i = 0; block !== to && block !== 0 && i < MAX_CHAIN; i++) {
      block = idom[block]
      amount += this.#length(block)
      if (block !== to) amount += bounds.get(block)?.length ?? 0
    }
    this.#spend(Math.min(amount, MAX_SPEND), this.#plan.func.blocks[from].last)
  }

  body(block: number): void {
    const { start, last, outside } = this.#plan.func.blocks[block]
    if (outside) {
      this.frame.fault(FAULT.outside, start, last)
      return
    }
    this.facts.state = this.#states[block]!.slice()
    for (let slot = start; slot <= last; ) {
      const step = this.#program.steps[slot]!
      this.#slot = slot
      this.#step = step
      this.facts.at(step)
      step.mean(this, step.insn, step.second)
      slot = step.next
    }
  }

  // The machine.

  get(reg: number): Value {
    const code = this.#code
    const { fact } = this.facts.get(reg)
    if (reg === 10) {
      return {
        fact,
        reg,
        wide: () => {
          this.frame.end()
          code.op(OP.i64_extend_i32_u)
        },
        low: () => this.frame.end(),
      }
    }
    const local = this.frame.reg(reg)
    return {
      fact,
      reg,
      wide: () => code.get(local),
      low: () => {
        code.get(local)
        code.op(OP.i32_wrap_i64)
      },
    }
  }

  set(reg: number, value: Value): void {
    value.wide()
    this.#code.set(this.frame.reg(reg))
    this.facts.set(reg, value)
  }

  imm(value: number): Value {
    const { fact, reg } = this.facts.imm(value)
    return { fact, reg, wide: () => this.#code.i64(value), low: () => this.#code.i32(value) }
  }

  lddw(kind: LddwKind): Value {
    const { constant } = this.#step
    const known = this.facts.lddw(kind)
    if (known.fact?.kind === 'value') this.guard.noteConstant(known.fact.map, constant - BigInt(known.fact.at ?? 0))
    return {
      ...known,
      wide: () => this.#code.i64(constant),
      low: () => this.#code.i32(Number(BigInt.asIntN(32, constant))),
    }
  }

  bin(op: BinOp, width: Width, a: Value, b: Value): Value {
    const code = this.#code
    const { fact } = this.facts.bin(op, width, a, b)
    const divisor = b.fact?.kind === 'number' ? b.fact.value : undefined
    if (width === 64) {
      const known = divisor === undefined ? undefined : divisor
      return this.#wide(fact, () => binary(code, op, 64, a.wide, b.wide, known))
    }
    const known = divisor === undefined ? undefined : divisor | 0
    return this.#narrow(() => binary(code, op, 32, a.low, b.low, known))
  }

  neg(width: Width, a: Value): Value {
    const code = this.#code
    if (width === 32) {
      return this.#narrow(() => {
        code.i32(0)
        a.low()
        code.op(opcodeOf('sub', 32))
      })
    }
    return this.#wide(undefined, () => {
      code.i64(0)
      a.wide()
      code.op(opcodeOf('sub', 64))
    })
  }

  extend(signed: boolean, from: 8 | 16 | 32, width: Width, a: Value): Value {
    const code = this.#code
    const opcode = SIGN_EXTEND[width][from]
    if (signed && width === 64) {
      return this.#wide(undefined, () => {
        a.wide()
        code.op(opcode!)
      })
    }
    return this.#narrow(() => {
      a.low()
      if (from === 32) return
      if (signed) code.op(opcode!)
      else {
        code.i32(2 ** from - 1)
        code.op(OP.i32_and)
      }
    })
  }

  swap(to: 'le' | 'be' | 'swap', bits: 16 | 32 | 64, a: Value): Value {
    const code = this.#code
    if (to === 'le') return bits === 64 ? this.#wide(undefined, a.wide) : this.#cut(bits, a)
    if (bits === 64) {
      return this.#wide(undefined, () => {
        a.wide()
        swap64(code, this.frame.temp('swap64', TYPE.i64))
      })
    }
    return this.#narrow(() => {
      a.low()
      const turn = bits === 32 ? swap32 : swap16
      turn(code, this.frame.temp('swap', TYPE.i32))
    })
  }

  #cut(bits: 16 | 32, a: Value): Value {
    return bits === 32 ? this.#narrow(a.low) : this.extend(false, 16, 32, a)
  }

  copy(width: Width, a: Value): Value {
    const { fact, reg } = this.facts.copy(width, a)
    if (width === 64) return { fact, reg, wide: a.wide, low: a.low }
    return { ...this.#narrow(a.low), fact }
  }

  cast(_to: number, _from: number, a: Value): Value {
    return this.#wide(undefined, a.wide)
  }

  load(size: Size, signed: boolean, base: Value, off: number): Value {
    const { fact } = this.facts.load(size, signed, base, off)
    return this.#wide(fact, () => {
      const offset = this.guard.address(base, off, size, false, this.#slot)
      this.#code.memory((signed ? LOAD_SIGNED : LOAD)[size], offset)
    })
  }

  store(size: Size, base: Value, off: number, value: Value): void {
    const offset = this.guard.address(base, off, size, true, this.#slot)
    value.wide()
    this.#code.memory(STORE[size], offset)
  }

  // One program runs at a time on a memory, so a plain load and store are atomic, an acquire and a release.

  atomic(op: AtomicOp, size: 4 | 8, base: Value, off: number, operand: Value, expected: Value | undefined): Value {
    const code = this.#code
    const address = this.frame.temp('address', TYPE.i32)
    const old = this.frame.temp('old', TYPE.i64)
    this.guard.permit(base, off, size, true, this.#slot)
    const offset = this.guard.address(base, off, size, false, this.#slot)
    code.tee(address)
    code.memory(LOAD[size], offset)
    code.set(old)
    if (op === 'cmpxchg') {
      code.get(old)
      if (size === 8) expected!.wide()
      else {
        expected!.low()
        code.op(OP.i64_extend_i32_u)
      }
      code.op(OP.i64_eq)
      code.block(OP.if)
    }
    code.get(address)
    if (op === 'cmpxchg' || op === 'xchg') operand.wide()
    else {
      code.get(old)
      operand.wide()
      code.op(opcodeOf(op, 64))
    }
    code.memory(STORE[size], offset)
    if (op === 'cmpxchg') code.end()
    return this.#wide(undefined, () => code.get(old))
  }

  loadAcquire(size: Size, base: Value, off: number): Value {
    return this.load(size, false, base, off)
  }

  storeRelease(size: Size, base: Value, off: number, value: Value): void {
    this.store(size, base, off, value)
  }

  loadPacket(size: 1 | 2 | 4, index: Value | undefined, imm: number): Value {
    const code = this.#code
    return this.#narrow(() => {
      code.i32(size)
      code.i32(imm)
      if (index) {
        index.low()
        code.op(OP.i32_add)
      }
      code.i32(this.#slot)
      code.callImport(this.#unit.imports.packet)
    })
  }

  branch(op: CondOp, width: Width, a: Value, b: Value, _off: number): void {
    this.facts.branch(op, width, a, b)
    const bIsZero = b.fact?.kind === 'number' && b.fact.value === 0
    const code = this.#code
    if (width === 64) compare(code, op, 64, a.wide, b.wide, bIsZero)
    else compare(code, op, 32, a.low, b.low, bIsZero)
  }

  jump(): void {}

  /** Leaves whether the budget is used up. */
  mayGoto(): void {
    const code = this.#code
    const gotos = this.frame.temp('gotos', TYPE.i32)
    code.get(gotos)
    code.op(OP.i32_eqz)
    code.get(gotos)
    code.get(gotos)
    code.i32(0)
    code.op(OP.i32_ne)
    code.op(OP.i32_sub)
    code.set(gotos)
  }

  call(kind: CallKind, id: number): void {
    if (kind === 'local') this.#callLocal(this.#step.next + id)
    else callHelper(this, this.#unit)
    this.facts.call(kind)
    this.#clear()
  }

  /** r1 to r5 are 0 after a call. */
  #clear(): void {
    const { reads } = this.#plan.func
    for (let reg = 1; reg <= 5; reg++) {
      if (!(reads & (1 << reg))) continue
      this.#code.i64(0)
      this.#code.set(this.frame.reg(reg))
    }
  }

  #callLocal(target: number): void {
    const code = this.#code
    const unit = this.#unit
    const callee = unit.functions.get(target)
    if (unit.checked && unit.deep) {
      this.frame.start()
      code.i32(lastFrame(unit))
      code.op(OP.i32_ge_u)
      code.block(OP.if)
      this.frame.fault(FAULT.deep, 0, this.#slot)
      code.end()
    }
    if (callee === undefined) {
      this.frame.fault(FAULT.outside, target, this.#slot)
      return
    }
    const counts = callee.fuel
    if (counts) this.giveFuel()
    for (const reg of callee.args) this.get(reg).wide()
    if (callee.frame) {
      this.frame.start()
      code.i32(unit.stack.stride)
      code.op(OP.i32_add)
    }
    code.callOwn(callee.index)
    code.set(this.frame.reg(0))
    if (counts) this.takeFuel()
  }

  /** Programs that have it are refused before. */
  callReg(): void {
    this.#code.op(OP.unreachable)
  }

  exit(): void {
    this.giveFuel()
    this.get(0).wide()
    this.#code.op(OP.return)
  }

  #wide(fact: Known['fact'], wide: () => void): Value {
    return {
      fact,
      reg: NO_REG,
      wide,
      low: () => {
        wide()
        this.#code.op(OP.i32_wrap_i64)
      },
    }
  }

  /** A 32-bit result. */
  #narrow(low: () => void): Value {
    return {
      fact: undefined,
      reg: NO_REG,
      low,
      wide: () => {
        low()
        this.#code.op(OP.i64_extend_i32_u)
      },
    }
  }
}
