// The interpreter: the machine of src/isa/machine.ts whose values are 64-bit words as bigints. What each
// instruction means is in the instruction table; arithmetic is in src/isa/concrete.ts. This file adds
// what a running program has besides: registers, stack frames, fuel, and faults that name their place.

import { Diagnostic } from '../../diag/diagnostic.ts'
import { binOp, condition, extend, neg, swap } from '../../isa/concrete.ts'
import type { Size, Width } from '../../isa/insn.ts'
import type { AtomicOp, BinOp, CallKind, CondOp, LddwKind, Machine } from '../../isa/machine.ts'
import { type Code, FUNCTION_BASE, type Step } from './code.ts'
import { located, noFunction, outOfFuel, outside, tooDeep } from './fault.ts'
import type { HelperCall, Surrounding } from './helpers/call.ts'
import type { Referent } from './maps/refs.ts'
import type { Memory } from './memory.ts'
import type { ObservedFrame, ObservedMachine, Observer } from './observer.ts'
import { MAX_FRAMES, type Stacks } from './stacks.ts'

/** Reads a packet for the legacy loads: undefined past its end. */
export type ReadPacket = (size: 1 | 2 | 4, offset: number) => bigint | undefined

/** What the engine around an interpreter gives it. */
export interface Surroundings {
  readonly memory: Memory
  readonly stacks: Stacks
  /** Instructions that one run may execute. */
  readonly fuel: number
  /** What helpers work on, but for going elsewhere in the program, which is the interpreter's. */
  readonly call: Surrounding
  readonly readPacket: ReadPacket
  readonly observer?: Observer
}

/** BPF_MAX_LOOPS: how often one frame may pass a may_goto. */
const MAX_GOTOS = 8 * 1024 * 1024

/** MAX_TAIL_CALL_CNT: how many programs one run may go on to. */
const MAX_TAIL_CALLS = 33

interface Frame {
  /** Where the caller goes on: a program may have put another in its place. */
  readonly code: Code
  readonly returnTo: number
  /** r6 to r10 of the caller. */
  readonly saved: readonly bigint[]
  gotos: number
}

/** Thrown by an instruction that ends the whole program, with r0 = 0. */
const END = Symbol('end of program')

export class Interpreter implements Machine<bigint> {
  /** What was started, and what runs now: a tail call puts another program in its place. */
  readonly #started: Code
  #code: Code
  #tailCalls = 0
  readonly #memory: Memory
  readonly #around: Surroundings
  readonly #regs: bigint[] = new Array(11).fill(0n)
  readonly #frames: Frame[] = []
  #step: Step
  /** Slot of the instruction after this one, unless it jumps. */
  #next = 0
  #fuel = 0
  readonly #call: HelperCall
  /** What an observer sees. */
  readonly #observed: ObservedMachine = this.#observe()

  constructor(code: Code, around: Surroundings) {
    this.#started = code
    this.#code = code
    this.#around = around
    this.#memory = around.memory
    this.#step = code.steps[0]!
    this.#call = {
      ...around.call,
      callback: (func, ...args) => this.#callback(func, args),
      later: (func) => {
        const { code, slot } = this.#function(func)
        return (...args) => this.#start(code, slot, args)
      },
      tailCall: (to, context) => this.#tailCall(to, context),
    }
  }

  /** Runs from slot 0 and gives r0. Throws a Diagnostic (`user/fault`, `user/fuel`) that names the place. */
  run(r1: bigint, r2 = 0n): bigint {
    return this.#start(this.#started, 0, [r1, r2])
  }

  #start(code: Code, slot: number, args: readonly bigint[]): bigint {
    this.#regs.fill(0n)
    for (let i = 0; i < args.length; i++) this.#regs[1 + i] = args[i]
    this.#fuel = this.#around.fuel
    this.#tailCalls = 0
    this.#code = code
    try {
      this.#enter(slot, -1)
      this.#loop(1)
      return this.#regs[0]
    } catch (error) {
      if (error === END) return 0n
      if (!(error instanceof Diagnostic)) throw error
      throw located(this.#code.spec, this.#code.steps.indexOf(this.#step), error)
    } finally {
      while (this.#frames.length > 0) this.#leave()
    }
  }

  /** Until the frame at `depth` (counted from 1) has exited. */
  #loop(depth: number): void {
    const { observer } = this.#around
    const frames = this.#frames
    while (frames.length >= depth) {
      const step = this.#code.steps[this.#next]
      if (step === undefined) throw outside(this.#next)
      if (observer !== undefined) observer.before(this.#next, this.#observed)
      this.#step = step
      this.#next = step.next
      if (--this.#fuel < 0) throw outOfFuel(this.#around.fuel)
      step.mean(this, step.insn, step.second)
    }
  }

  #observe(): ObservedMachine {
    const registers = this.#regs
    const frames = this.#frames
    const around = (): Surroundings => this.#around
    const code = (): Code => this.#code
    return {
      registers,
      get program() {
        return code().spec
      },
      get depth() {
        return frames.length
      },
      get memory() {
        return around().memory
      },
      get packet() {
        return around().call.packet
      },
      // A frame keeps its caller's registers and place, so each is read from the one above it.
      frames: () =>
        frames.map((_, i): ObservedFrame => {
          const above = frames[i + 1]
          return above
            ? { framePointer: Number(above.saved[4]), slot: above.returnTo - 1 }
            : { framePointer: Number(registers[10]), slot: this.#next }
        }),
    }
  }

  #enter(slot: number, returnTo: number): void {
    const depth = this.#frames.length
    if (depth === MAX_FRAMES) throw tooDeep()
    this.#frames.push({ code: this.#code, returnTo, saved: this.#regs.slice(6), gotos: MAX_GOTOS })
    this.#regs.fill(0n, 6)
    this.#regs[0] = 0n
    this.#regs[10] = BigInt(this.#around.stacks.open(depth))
    this.#next = slot
  }

  #leave(): void {
    const { code, saved, returnTo } = this.#frames.pop()!
    this.#code = code
    this.#around.stacks.close(this.#frames.length)
    for (let i = 0; i < saved.length; i++) this.#regs[6 + i] = saved[i]
    this.#regs.fill(0n, 1, 6)
    this.#next = returnTo
  }

  /** A helper calls back into the program: r0 of the function. */
  #callback(func: bigint, args: readonly bigint[]): bigint {
    const step = this.#step
    const slot = Number(func - FUNCTION_BASE)
    if (!this.#code.callbacks.has(slot)) throw noFunction(func)
    for (let i = 0; i < 5; i++) this.#regs[1 + i] = args[i] ?? 0n
    this.#enter(slot, this.#next)
    this.#loop(this.#frames.length)
    this.#step = step
    return this.#regs[0]
  }

  #function(func: bigint): { code: Code; slot: number } {
    return { code: this.#code, slot: Number(func - FUNCTION_BASE) }
  }

  /** Another program takes over the current frame: its stack begins anew, and it returns to the same caller. */
  #tailCall(to: Referent, context: bigint): boolean {
    if (to.kind !== 'program' || this.#tailCalls === MAX_TAIL_CALLS) return false
    this.#tailCalls++
    this.#code = to.code
    this.#regs[1] = context
    this.#regs[10] = BigInt(this.#around.stacks.open(this.#frames.length - 1))
    this.#next = 0
    return true
  }

  get(reg: number): bigint {
    return this.#regs[reg]
  }

  set(reg: number, value: bigint): void {
    this.#regs[reg] = value
  }

  imm(value: number): bigint {
    const { insn, constant } = this.#step
    return insn.imm === value ? constant : BigInt.asUintN(64, BigInt(value))
  }

  lddw(_kind: LddwKind): bigint {
    return this.#step.constant
  }

  bin(op: BinOp, width: Width, a: bigint, b: bigint): bigint {
    return binOp(op, width, a, b)
  }

  neg(width: Width, a: bigint): bigint {
    return neg(width, a)
  }

  extend(signed: boolean, from: 8 | 16 | 32, width: Width, a: bigint): bigint {
    return extend(signed, from, width, a)
  }

  swap(to: 'le' | 'be' | 'swap', bits: 16 | 32 | 64, a: bigint): bigint {
    return swap(to, bits, a)
  }

  copy(width: Width, a: bigint): bigint {
    return width === 64 ? a : BigInt.asUintN(32, a)
  }

  cast(_to: number, _from: number, a: bigint): bigint {
    return a
  }

  load(size: Size, signed: boolean, base: bigint, off: number): bigint {
    const value = this.#memory.load(Number(base) + off, size)
    return signed ? BigInt.asUintN(64, BigInt.asIntN(size * 8, value)) : value
  }

  store(size: Size, base: bigint, off: number, value: bigint): void {
    this.#memory.store(Number(base) + off, size, value)
  }

  atomic(op: AtomicOp, size: 4 | 8, base: bigint, off: number, operand: bigint, expected: bigint | undefined): bigint {
    const at = Number(base) + off
    this.#memory.check(at, size, true)
    const old = this.#memory.load(at, size)
    if (op === 'cmpxchg') {
      if (old === BigInt.asUintN(size * 8, expected!)) this.#memory.store(at, size, operand)
    } else this.#memory.store(at, size, op === 'xchg' ? operand : binOp(op, 64, old, operand))
    return old
  }

  // One program runs at a time here, so every load is an acquire and every store a release.
  loadAcquire(size: Size, base: bigint, off: number): bigint {
    return this.load(size, false, base, off)
  }

  storeRelease(size: Size, base: bigint, off: number, value: bigint): void {
    this.store(size, base, off, value)
  }

  loadPacket(size: 1 | 2 | 4, index: bigint | undefined, imm: number): bigint {
    const offset = index === undefined ? imm : (Number(BigInt.asIntN(32, index)) + imm) | 0
    const value = this.#around.readPacket(size, offset)
    if (value === undefined) throw END
    return value
  }

  branch(op: CondOp, width: Width, a: bigint, b: bigint, off: number): void {
    if (condition(op, width, a, b)) this.#next += off
  }

  jump(off: number): void {
    this.#next += off
  }

  mayGoto(off: number): void {
    const frame = this.#frames[this.#frames.length - 1]
    if (frame.gotos === 0) this.#next += off
    else frame.gotos--
  }

  call(kind: CallKind, id: number): void {
    if (kind === 'local') {
      this.#enter(this.#next + id, this.#next)
      return
    }
    const { helper } = this.#step
    if (!helper) throw new Diagnostic({ code: 'user/fault', message: `there is no ${kind} ${id}` })
    const regs = this.#regs
    const [r1, r2, r3, r4, r5] = [regs[1], regs[2], regs[3], regs[4], regs[5]]
    // Before the call: one that goes on with another program leaves that program's context in r1.
    regs.fill(0n, 1, 6)
    regs[0] = helper(this.#call, r1, r2, r3, r4, r5)
  }

  /** `prepare` refuses programs that have it. */
  callReg(reg: number): void {
    throw new Diagnostic({ code: 'user/fault', message: `no call through r${reg}` })
  }

  exit(): void {
    this.#leave()
  }
}
