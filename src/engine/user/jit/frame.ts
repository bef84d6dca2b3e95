// One function of a program while it is being translated: its code, where its registers and its stack frame are, and
// the facts about it that its callers must know too.

import type { UserMap } from '../maps/map.ts'
import { FAILED } from '../memory.ts'
import { MAX_FRAMES, STACK_SIZE } from '../stacks.ts'
import type { Bound } from './bounds.ts'
import type { Facts, State } from './facts.ts'
import type { Effects, Func } from './scan.ts'
import { Code, OP, type Signature, TYPE, type ValueType } from './wasm.ts'

/** What all functions of a program share. */
export interface Unit {
  readonly effects: Effects
  readonly functions: ReadonlyMap<number, Plan>
  /** Whether accesses are checked and loops counted. */
  readonly checked: boolean
  /** The stack frames: the start of the first, and the bytes from one to the next. */
  readonly stack: { readonly start: number; readonly stride: number }
  readonly imports: Imports
  /** The global that has what is left of the fuel while no function that counts it runs. */
  readonly fuel: number
  /** Whether the depth of calls must be watched when the program runs. */
  readonly deep: boolean
  /** Whether helpers can call functions of the program. */
  readonly callbacks: boolean
  /** How much of the context programs may read and write without a check, in bytes. */
  readonly context: { readonly readable: number; readonly writable: number }
  /** Gives a number to a place in the program that can fault, for `Frame.failIf`. From 1. */
  site(site: Site): number
  /** Index of the function that looks elements of this map up, made when it is first asked for. */
  lookup(map: UserMap): number
  mapIndex(map: UserMap): number
}

/** A place that can fault: an access, or a loop that goes round once more. */
export interface Site {
  readonly slot: number
  /** Undefined where fuel runs out. */
  readonly access?: { readonly off: number; readonly size: number; readonly write: boolean }
}

/** Indices of imported functions. */
export interface Imports {
  readonly check: number
  readonly fault: number
  readonly packet: number
  readonly lookup: number
  readonly update: number
  readonly remove: number
  /** By helper id. */
  readonly helpers: ReadonlyMap<number, number>
}

/** Reasons of the imported `fault`; `outside` has the slot that is not there as its detail. */
export const FAULT = { deep: 0, outside: 1 } as const

/** A function and what its callers know of it. */
export interface Plan {
  readonly func: Func
  readonly facts: Facts
  /** By block: the registers when it begins. */
  readonly states: readonly (State | undefined)[]
  /** Loops whose rounds need not be counted, by header. */
  readonly bounds: ReadonlyMap<number, Bound>
  /** Instructions that one call runs at most, with those of what it calls; Infinity if that is not bounded. */
  readonly length: number
  /** For `Code.callOwn`. */
  readonly index: number
  /** r1 to r5 as far as it takes them, in order. */
  readonly args: readonly number[]
  /** Whether its frame's address is its last parameter. */
  readonly frame: boolean
  /** Whether it counts fuel. */
  readonly fuel: boolean
  /** Nobody in the program calls it: r1 is the context, and its frame is the first. */
  readonly main: boolean
}

export const signatureOf = ({ args, frame }: Pick<Plan, 'args' | 'frame'>): Signature => ({
  params: [...args.map(() => TYPE.i64), ...(frame ? [TYPE.i32] : [])],
  results: [TYPE.i64],
})

export const lastFrame = ({ stack }: Unit): number => stack.start + (MAX_FRAMES - 1) * stack.stride

export class Frame {
  readonly unit: Unit
  readonly plan: Plan
  readonly code: Code
  readonly #regs: number[]
  readonly #temps = new Map<string, number>()

  constructor(unit: Unit, plan: Plan) {
    this.unit = unit
    this.plan = plan
    this.code = new Code(plan.args.length + (plan.frame ? 1 : 0))
    this.#regs = new Array<number>(10).fill(-1)
    plan.args.forEach((reg, i) => {
      this.#regs[reg] = i
    })
  }

  /** The local variable of r0 to r9. */
  reg(reg: number): number {
    if (this.#regs[reg] < 0) this.#regs[reg] = this.code.local(TYPE.i64)
    return this.#regs[reg]
  }

  /** A local variable of that name, the same each time. */
  temp(name: string, type: ValueType): number {
    const known = this.#temps.get(name)
    if (known !== undefined) return known
    const local = this.code.local(type)
    this.#temps.set(name, local)
    return local
  }

  /** Puts the address of the frame's first byte on the stack, as an i32. */
  start(code = this.code): void {
    if (this.plan.main) code.i32(this.unit.stack.start)
    else if (this.plan.frame) code.get(this.plan.args.length)
    else code.i32(0)
  }

  /** As `start`, for r10: the frame's end. */
  end(): void {
    if (this.plan.main) this.code.i32(this.unit.stack.start + STACK_SIZE)
    else {
      this.start()
      this.code.i32(STACK_SIZE)
      this.code.op(OP.i32_add)
    }
  }

  /**
   * Takes a condition: if it holds, the program faults at `site`. It leaves what the engine must know in memory and
   * traps: a call here would cost a loop its registers. `base`: puts the base address of an access on the stack.
   */
  failIf(site: Site, base?: () => void): void {
    const { code } = this
    code.block(OP.if)
    if (base) {
      code.i32(0)
      base()
      code.memory(OP.i64_store, FAILED.base)
    }
    code.i32(0)
    code.i32(this.unit.site(site))
    code.memory(OP.i32_store, FAILED.site)
    code.i32(0)
    this.start()
    code.memory(OP.i32_store, FAILED.frame)
    code.op(OP.unreachable)
    code.end()
  }

  /** Calls the imported `fault`, which does not return. */
  fault(reason: number, detail: number, slot: number, code = this.code): void {
    code.i32(reason)
    code.i32(detail)
    code.i32(slot)
    code.callImport(this.unit.imports.fault)
    code.op(OP.unreachable)
  }
}
