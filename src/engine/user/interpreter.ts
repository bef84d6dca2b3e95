// The interpreter: the machine of src/isa/machine.ts whose values are 64-bit words as bigints. What each
// instruction means is in the instruction table; arithmetic is in src/isa/concrete.ts. This file adds
// what a running program has besides: registers, stack frames, fuel, and faults that name their place.

import { Diagnostic } from '../../diag/diagnostic.ts'
import { binOp, condition, extend, neg, swap } from '../../isa/concrete.ts'
import type { Size, Width } from '../../isa/insn.ts'
import type { AtomicOp, BinOp, CallKind, CondOp, LddwKind, Machine } from '../../isa/machine.ts'
import { type Code, FUNCTION_BASE, placeOf, type Step, sourceOf } from './code.ts'
import type { HelperCall } from './helpers.ts'
import type { Memory } from './memory.ts'
import type { ObservedFrame, ObservedMachine, Observer } from './observer.ts'
import type { Stacks } from './stacks.ts'

/** Reads a packet for the legacy loads: undefined past its end. */
export type ReadPacket = (size: 1 | 2 | 4, offset: number) => bigint | undefined

/** What the engine around an interpreter gives it. */
export interface Surroundings {
  readonly memory: Memory
  readonly stacks: Stacks
  /** Instructions that one run may execute. */
  readonly fuel: number
  /** What helpers work on, but for calling back, which is the interpreter's. */
  readonly call: Omit<HelperCall, 'callback'>
  readonly readPacket: ReadPacket
  readonly observer?: Observer
}

/** MAX_CALL_FRAMES. */
export const MAX_FRAMES = 8
/** BPF_MAX_LOOPS: how often one frame may pass a may_goto. */
const MAX_GOTOS = 8 * 1024 * 1024

interface Frame {
  readonly returnTo: number
  /** r6 to r10 of the caller. */
  readonly saved: readonly bigint[]
  gotos: number
}

/** Thrown by an instruction that ends the whole program, with r0 = 0. */
const END = Symbol('end of program')

export class Interpreter implements Machine<bigint> {
  readonly #code: Code
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
    this.#code = code
    this.#around = around
    this.#memory = around.memory
    this.#step = code.steps[0]!
    this.#call = { ...around.call, callback: (func, ...args) => this.#callback(func, args) }
  }

  /** Runs from slot 0 and gives r0. Throws a Diagnostic (`user/fault`, `user/fuel`) that names the place. */
  run(r1: bigint, r2 = 0n): bigint {
    this.#regs.fill(0n)
    this.#regs[1] = r1
    this.#regs[2] = r2
    this.#fuel = this.#around.fuel
    try {
      this.#enter(0, -1)
      this.#loop(1)
      return this.#regs[0]
    } catch (error) {
      if (error === END) return 0n
      throw error instanceof Diagnostic ? this.#located(error) : error
    } finally {
      while (this.#frames.length > 0) this.#leave()
    }
  }

  /** Until the frame at `depth` (counted from 1) has exited. */
  #loop(depth: number): void {
    const { steps } = this.#code
    const { observer } = this.#around
    const frames = this.#frames
    while (frames.length >= depth) {
      const step = steps[this.#next]
      if (step === undefined) throw this.#astray()
      if (observer !== undefined) observer.before(this.#next, this.#observed)
      this.#step = step
      this.#next = step.next
      if (--this.#fuel < 0) throw this.#outOfFuel()
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
    if (depth === MAX_FRAMES)
      throw new Diagnostic({ code: 'user/fault', message: `more than ${MAX_FRAMES} calls deep` })
    this.#frames.push({ returnTo, saved: this.#regs.slice(6), gotos: MAX_GOTOS })
    this.#regs[10] = BigInt(this.#around.stacks.open(depth))
    this.#next = slot
  }

  #leave(): void {
    const { saved, returnTo } = this.#frames.pop()!
    this.#around.stacks.close(this.#frames.length)
    for (let i = 0; i < saved.length; i++) this.#regs[6 + i] = saved[i]
    this.#next = returnTo
  }

  /** A helper calls back into the program: r0 of the function. */
  #callback(func: bigint, args: readonly bigint[]): bigint {
    const step = this.#step
    for (let i = 0; i < 5; i++) this.#regs[1 + i] = args[i] ?? 0n
    this.#enter(Number(func - FUNCTION_BASE), this.#next)
    this.#loop(this.#frames.length)
    this.#step = step
    return this.#regs[0]
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
    regs[0] = helper(this.#call, regs[1], regs[2], regs[3], regs[4], regs[5])
  }

  /** `prepare` refuses programs that have it. */
  callReg(reg: number): void {
    throw new Diagnostic({ code: 'user/fault', message: `no call through r${reg}` })
  }

  exit(): void {
    this.#leave()
  }

  #astray(): Diagnostic {
    return new Diagnostic({
      code: 'user/fault',
      message: `the program leaves its instructions: there is none at ${this.#next}`,
    })
  }

  #outOfFuel(): Diagnostic {
    const { fuel } = this.#around
    return new Diagnostic({
      code: 'user/fuel',
      message: `the program did not end within ${fuel} instructions`,
      help: 'bound its loops, or give the user engine more `fuel`',
    })
  }

  #located(fault: Diagnostic): Diagnostic {
    const slot = this.#code.steps.indexOf(this.#step)
    return new Diagnostic({
      code: fault.code,
      message: fault.message,
      at: fault.at ?? sourceOf(this.#code.spec, slot),
      notes: [placeOf(this.#code.spec, slot), ...fault.notes],
      help: fault.help ?? 'the verifier finds such mistakes before a program runs: verify the program first',
      errno: fault.errno,
      cause: fault,
    })
  }
}
