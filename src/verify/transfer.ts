// Transfer: what each instruction does to the abstract state. It is one of the machines over which the
// instruction table gives every instruction its meaning, so nothing here looks at opcodes. What an instruction
// must not do is asserted in the assert files that this calls; jumps and calls have files of their own.

import type { Insn, Size, Width } from '../isa/insn.ts'
import type { AtomicOp, BinOp, CallKind, CondOp, LddwKind, Machine } from '../isa/machine.ts'
import { assertAligned, assertPlainValues, assertPointer, assertReleased, describe } from './assert-memory.ts'
import { type Env, mapNamed } from './env.ts'
import { load, loaded, store, withId } from './memory.ts'
import { pointerBin } from './pointers.ts'
import { notYet, Refusal } from './refusal.ts'
import { isConst, scalarBin, scalarNeg, scalarSignExtend, scalarTruncate, scalarWidth } from './scalar.ts'
import {
  anything,
  constant,
  markPrecise,
  type PointerValue,
  pointer,
  type ScalarValue,
  type State,
  scalar,
  type Value,
} from './state.ts'
import { branch, type Edges } from './transfer-branch.ts'
import { callHelper, callLocal, leave } from './transfer-call.ts'

/** The source bit of ALU and jump opcodes: the second operand is a register (RFC 9669 section 4). */
const SOURCE_REG = 0x08

/** What comes after an instruction: slots to go on at, and the state that takes the jump if both ways are open. */
export interface Outcome {
  /** Undefined at the end of a path. */
  next: number | undefined
  /** A copy of the state that goes the other way. */
  other: State | undefined
}

export class Transfer implements Machine<Value> {
  readonly #env: Env
  #state: State
  #insn: Insn
  #after = 0
  readonly outcome: Outcome = { next: undefined, other: undefined }

  constructor(env: Env, state: State) {
    this.#env = env
    this.#state = state
    this.#insn = env.insns[0]
  }

  /** Carries out the instruction at the state's pc. Throws a Refusal if it must not be. */
  step(state: State): Outcome {
    const { pc } = state
    const row = this.#env.structure.rows[pc]
    if (!row) throw new Refusal('structure', 'this is no instruction')
    this.#state = state
    this.#insn = this.#env.insns[pc]
    this.#after = pc + row.slots
    this.outcome.next = this.#after
    this.outcome.other = undefined
    row.mean(this, this.#insn, this.#env.insns[pc + 1])
    return this.outcome
  }

  get(reg: number): Value {
    const value = this.#state.frame.regs[reg]
    if (value) return value
    const message =
      reg === 0 && this.#env.structure.rows[this.#state.pc]?.flow === 'exit'
        ? 'the program ends without a return value'
        : `r${reg} is read before it was given a value`
    throw new Refusal(
      'uninitialised',
      message,
      'give it a value on every path that leads here; r1 to r5 are lost at each call',
    )
  }

  set(reg: number, value: Value): void {
    if (reg === 10) throw new Refusal('structure', 'the frame pointer r10 is read-only')
    this.#state.frame.regs[reg] = value
  }

  imm(value: number): Value {
    return constant(value < 0 ? BigInt(value) : value)
  }

  lddw(kind: LddwKind, lo: number, hi: number): Value {
    const relocation = this.#env.relocations.get(this.#state.pc)
    if (relocation?.kind === 'map') {
      const map = mapNamed(this.#env, relocation.map)
      return pointer('map', { map })
    }
    if (relocation) return this.#direct(relocation.map, relocation.offset)
    if (kind === 'imm') return constant((BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0))
    if (kind === 'func') throw notYet('callbacks (the address of a function)')
    if (kind === 'btf_id') throw notYet('addresses of kernel variables')
    throw new Refusal('structure', 'this names a map by number: the object must say which map it means')
  }

  /** A pointer to the one value of an array map. */
  #direct(name: string, offset: number): Value {
    const map = mapNamed(this.#env, name)
    const row = this.#env.platform.mapTypes.get(map.type)
    if (map.type !== 'array' || map.maxEntries !== 1 || row?.direct === false) {
      throw new Refusal('structure', `\`${name}\` is no array map of one value: its value has no fixed address`)
    }
    if (offset < 0 || offset >= map.valueSize) {
      throw new Refusal(
        'map-bounds',
        `offset ${offset} is outside of the value of \`${name}\`, which has ${map.valueSize} bytes`,
      )
    }
    assertPlainValues(this.#env, map)
    return pointer('map_value', { map, off: offset })
  }

  bin(op: BinOp, width: Width, a: Value, b: Value): Value {
    if (a.kind !== 'scalar' || b.kind !== 'scalar') return pointerBin(this.#env, op, width, a, b)
    if (op === 'div' || op === 'sdiv' || op === 'mod' || op === 'smod')
      return scalar(scalarBin(op, width, a.n, b.n), [a, b])
    const n = scalarBin(op, width, a.n, b.n)
    if (op === 'add' && width === 64 && a.id !== 0 && isConst(b.n)) return this.#shifted(a, b, n)
    return scalar(n, [a, b])
  }

  /** A linked number plus a constant stays linked, once, with that difference. */
  #shifted(a: ScalarValue, b: ScalarValue, n: ScalarValue['n']): ScalarValue {
    const by = b.n.umin
    if (a.delta !== undefined || by > 0x7fff_ffffn) return scalar(n, [a, b])
    return scalar(n, [a, b], a.id, Number(by))
  }

  neg(width: Width, a: Value): Value {
    return a.kind === 'scalar' ? scalar(scalarNeg(width, a.n), [a]) : anything()
  }

  extend(signed: boolean, from: 8 | 16 | 32, width: Width, a: Value): Value {
    if (a.kind !== 'scalar') return width === 32 ? loaded(anything(), 4, false) : anything()
    const size = (from / 8) as 1 | 2 | 4
    const n = signed ? scalarSignExtend(a.n, size) : scalarTruncate(a.n, size)
    const cut = width === 32 ? scalarTruncate(n, 4) : n
    // The same number if its sign bit is not among those that are extended.
    if (a.n.umax >= 1n << BigInt(from - 1)) return scalar(cut, [a])
    const source = this.#link(a)
    return scalar(cut, [source], source.id, source.delta)
  }

  swap(_to: 'le' | 'be' | 'swap', _bits: 16 | 32 | 64, _a: Value): Value {
    return anything()
  }

  copy(width: Width, a: Value): Value {
    const register = this.#insn.opcode & SOURCE_REG
    if (a.kind !== 'scalar') return width === 64 ? a : loaded(anything(), 4, false)
    if (!register) return width === 64 ? a : scalar(scalarTruncate(a.n, 4), [a])
    if (width === 64) return this.#link(a)
    if (scalarWidth(a.n) <= 32) return this.#link(a)
    return scalar(scalarTruncate(a.n, 4), [a])
  }

  /** Gives the source register an id, which the copy shares. */
  #link(a: ScalarValue): ScalarValue {
    const linked = withId(this.#env, a)
    if (linked !== a) this.#state.frame.regs[this.#insn.src] = linked
    return linked
  }

  cast(): Value {
    throw notYet('address spaces (arenas)')
  }

  load(size: Size, signed: boolean, base: Value, off: number): Value {
    assertPointer(base, 'read', `r${this.#insn.src}`)
    return load(this.#env, this.#state, base, off, size, signed)
  }

  store(size: Size, base: Value, off: number, value: Value): void {
    assertPointer(base, 'write', `r${this.#insn.dst}`)
    // Stores of a register have opcode class stx, 3 (RFC 9669 section 3.1).
    const register = (this.#insn.opcode & 7) === 3 ? this.#insn.src : undefined
    store(this.#env, this.#state, base, off, size, { value, register })
  }

  #atomicBase(base: Value, access: 'read' | 'write', reg: number, off: number, size: Size): PointerValue {
    assertPointer(base, access, `r${reg}`)
    if (base.kind === 'ctx' || base.kind === 'packet' || base.kind === 'packet_meta') {
      throw new Refusal('bad-pointer', `${describe(base)} cannot be accessed by an atomic operation`)
    }
    assertAligned(base, off, size, 'the memory')
    return base
  }

  atomic(
    _op: AtomicOp,
    size: 4 | 8,
    base: Value,
    off: number,
    operand: Value,
    expected: Value | undefined,
    fetch: boolean,
  ): Value {
    const { dst } = this.#insn
    const at = this.#atomicBase(base, 'write', dst, off, size)
    if (operand.kind !== 'scalar' || (expected && expected.kind !== 'scalar')) {
      throw notYet('atomic operations on pointers')
    }
    const old = load(this.#env, this.#state, at, off, size, false)
    if (old.kind !== 'scalar') throw notYet('atomic operations on pointers')
    store(this.#env, this.#state, at, off, size, { value: anything(), register: undefined })
    return fetch ? old : anything()
  }

  loadAcquire(size: Size, base: Value, off: number): Value {
    const at = this.#atomicBase(base, 'read', this.#insn.src, off, size)
    return load(this.#env, this.#state, at, off, size, false)
  }

  storeRelease(size: Size, base: Value, off: number, value: Value): void {
    const at = this.#atomicBase(base, 'write', this.#insn.dst, off, size)
    store(this.#env, this.#state, at, off, size, { value, register: this.#insn.src })
  }

  loadPacket(): Value {
    const { name } = this.#env.type
    if (name !== 'socket_filter' && name !== 'sched_cls' && name !== 'sched_act') {
      throw new Refusal(
        'bad-pointer',
        `${name} programs cannot use the old packet loads`,
        'read the packet through data and data_end',
      )
    }
    if (this.#state.frames.length > 1) throw notYet('old packet loads in functions')
    assertReleased(this.#state, 'a packet load may end the program')
    const ctx = this.get(6)
    if (ctx.kind !== 'ctx' || ctx.off !== 0)
      throw new Refusal('bad-pointer', 'r6 must be the context for an old packet load')
    for (let reg = 1; reg <= 5; reg++) this.#state.frame.regs[reg] = undefined
    return anything()
  }

  branch(op: CondOp, width: Width, a: Value, b: Value, off: number): void {
    const { opcode, dst, src } = this.#insn
    const regB = opcode & SOURCE_REG ? src : undefined
    const edges: Edges = branch(this.#state, { op, width, a, b, regA: dst, regB }, this.#after + off)
    this.#env.jumpsProcessed++
    if (edges.taken === undefined) this.outcome.other = edges.other
    else if (edges.taken) this.outcome.next = this.#after + off
  }

  jump(off: number): void {
    this.#env.jumpsProcessed++
    this.outcome.next = this.#after + off
  }

  mayGoto(): void {
    throw notYet('may_goto')
  }

  call(kind: CallKind, id: number, _module: number): void {
    this.#env.jumpsProcessed++
    if (kind === 'kfunc') throw notYet('calls of kernel functions (kfuncs)')
    if (kind === 'helper') callHelper(this.#env, this.#state, id)
    else this.outcome.next = callLocal(this.#env, this.#state, this.#after + id)
  }

  callReg(): void {
    throw notYet('calls through a register')
  }

  exit(): void {
    if (this.#state.frames.length > 1) {
      // A function may leave r0 unset: only who reads it is refused.
      this.outcome.next = leave(this.#state, this.#state.frame.regs[0])
      return
    }
    const result = this.get(0)
    assertReleased(this.#state, 'the program ends')
    this.#assertResult(result)
    this.outcome.next = undefined
  }

  #assertResult(result: Value): void {
    const { returns, name } = this.#env.type
    if (!returns) return
    const [min, max] = returns
    if (result.kind === 'scalar') {
      markPrecise(result)
      const n = result.n
      if (n.smin >= BigInt(min) && n.smax <= BigInt(max)) return
      if (n.s32min >= min && n.s32max <= max && n.umax <= 0xffff_ffffn) return
    }
    throw new Refusal(
      'return-value',
      `a ${name} program returns ${min} to ${max}, this returns ${describe(result)}`,
      `return a number between ${min} and ${max}`,
    )
  }
}
