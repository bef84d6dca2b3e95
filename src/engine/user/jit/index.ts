// Compiled programs: a program of eBPF as a module of WebAssembly on the collection's memory. It does what the
// interpreter does, with the same faults; module.ts says what can't be compiled.

import { Diagnostic } from '../../../diag/diagnostic.ts'
import type { HelperName } from '../../../spec/helper.ts'
import type { Code } from '../code.ts'
import { ERRNO, type Errno } from '../errno.ts'
import { located, noFunction, outOfFuel, outside, strayed, tooDeep } from '../fault.ts'
import type { Helper, HelperCall } from '../helpers/call.ts'
import type { Surroundings } from '../interpreter.ts'
import type { UserMap } from '../maps/map.ts'
import { FAILED } from '../memory.ts'
import { MAX_FRAMES } from '../stacks.ts'
import type { World } from './facts.ts'
import { FAULT, type Site, type Unit } from './frame.ts'
import { build, NAME, slotOf } from './module.ts'

export type { World } from './facts.ts'

export interface CompileOptions {
  readonly code: Code
  readonly around: Surroundings
  readonly world: World
  /** Without it the program's own good behaviour, which the verifier proved, is relied on. */
  readonly checked: boolean
  /** How much of the context programs may always read and write, in bytes. */
  readonly context: Unit['context']
}

/** Helpers with which a run is no longer of this program alone, and why it is then left to the interpreter. */
const INTERPRETED: Readonly<Partial<Record<HelperName, string>>> = {
  tail_call: 'it makes tail calls',
  timer_set_callback: 'it has a function that a timer calls when the program is over',
}

const neverCompiled = (): never => {
  throw new Error('a program that needs this is interpreted')
}

type CallbackExport = (r1: bigint, r2: bigint, r3: bigint, r4: bigint, r5: bigint, frame: number) => bigint

/** Thrown by an instruction that ends the whole program, with r0 = 0. */
const END = Symbol('end of program')

export class CompiledProgram {
  readonly #code: Code
  readonly #around: Surroundings
  readonly #call: HelperCall
  #maps: readonly UserMap[] = []
  #sites: readonly Site[] = []
  /** Whether an instruction of it can end a run from within. */
  #ends = false
  #run: (context: number) => number = () => 0
  #batch: (context: number, count: number) => number = () => 0
  readonly #callbacks = new Map<number, CallbackExport>()
  /** Where the program is, as far as it has said: the instruction, and the frame of its function. */
  #slot = 0
  #frame = 0

  private constructor({ code, around }: CompileOptions) {
    this.#code = code
    this.#around = around
    this.#call = {
      ...around.call,
      callback: (func, ...args) => this.#callback(func, args),
      later: neverCompiled,
      tailCall: neverCompiled,
    }
  }

  /** The program, or a sentence that says why it must be interpreted. */
  static compile(options: CompileOptions): CompiledProgram | string {
    const { code, around, world, checked, context } = options
    for (const step of code.steps) {
      const why = step?.helperName && INTERPRETED[step.helperName]
      if (why) return why
    }
    const stack = around.stacks.layout
    const built = build({ program: code, world, checked, fuel: around.fuel, stack, context })
    if (typeof built === 'string') return built
    const program = new CompiledProgram(options)
    program.#maps = built.maps
    program.#sites = built.sites
    program.#ends = built.ends
    try {
      const module = new WebAssembly.Module(built.bytes)
      program.#link(new WebAssembly.Instance(module, { env: program.#imports() }).exports)
    } catch (error) {
      if (error instanceof Error) return `WebAssembly did not take it: ${error.message}`
      throw error
    }
    return program
  }

  /** One run: the low half of r0. Throws a Diagnostic (`user/fault`, `user/fuel`) that names the place. */
  run(context: number): number {
    this.#slot = 0
    let retval: number
    try {
      retval = this.#run(context) >>> 0
    } catch (error) {
      retval = this.#ended(error)
    }
    this.#around.stacks.live(0)
    return retval
  }

  /** `count` runs, at least one, one after another: the low half of the last one's r0. Throws as `run`. */
  batch(context: number, count: number): number {
    let retval = 0
    if (this.#ends) {
      for (let i = 0; i < count; i++) retval = this.run(context)
      return retval
    }
    this.#slot = 0
    try {
      retval = this.#batch(context, count) >>> 0
    } catch (error) {
      retval = this.#ended(error)
    }
    this.#around.stacks.live(0)
    return retval
  }

  /** r0 of a run that broke off, where that is no fault. */
  #ended(error: unknown): number {
    this.#around.stacks.live(0)
    if (error === END) return 0
    throw this.#explained(error)
  }

  #explained(error: unknown): unknown {
    if (error instanceof Diagnostic) return located(this.#code.spec, this.#slot, error)
    if (!(error instanceof Error)) return error
    const failed = this.#failed()
    if (failed) return located(this.#code.spec, this.#slot, failed)
    // Only a program that is not checked comes here: what was taken for proven is not so.
    return located(
      this.#code.spec,
      this.#slot,
      new Diagnostic({
        code: 'user/fault',
        message: `the program broke off: ${error.message}`,
        notes: ['the place is that of the last call of a helper'],
        cause: error,
      }),
    )
  }

  /** What compiled code found wrong before it trapped. */
  #failed(): Diagnostic | undefined {
    const { memory, stacks, fuel } = this.#around
    const site = this.#sites[memory.view.getUint32(FAILED.site, true) - 1]
    memory.view.setUint32(FAILED.site, 0, true)
    if (site === undefined) return undefined
    this.#slot = site.slot
    if (site.access === undefined) return outOfFuel(fuel)
    const { off, size, write } = site.access
    const address = Number(memory.view.getBigUint64(FAILED.base, true)) + off
    stacks.live(memory.view.getUint32(FAILED.frame, true))
    try {
      memory.check(address, size, write)
    } catch (error) {
      if (error instanceof Diagnostic) return error
      throw error
    } finally {
      stacks.live(0)
    }
    return strayed(address)
  }

  #link(exports: Record<string, unknown>): void {
    this.#run = exports[NAME.run] as (context: number) => number
    this.#batch = exports[NAME.batch] as (context: number, count: number) => number
    for (const slot of this.#code.callbacks) {
      this.#callbacks.set(slot, exports[`${NAME.callback}${slot}`] as CallbackExport)
    }
  }

  #imports(): Record<string, unknown> {
    const { memory, stacks, readPacket } = this.#around
    const imports: Record<string, unknown> = {
      memory: memory.shared,
      [NAME.check]: (base: number, off: number, access: number, slot: number, frame: number): void => {
        this.#slot = slot
        stacks.live(frame)
        memory.checkAndNote(base + off, access >> 1, (access & 1) === 1)
      },
      [NAME.fault]: (reason: number, detail: number, slot: number): void => {
        this.#slot = slot
        throw reason === FAULT.deep ? tooDeep() : outside(detail)
      },
      [NAME.packet]: (size: 1 | 2 | 4, offset: number, slot: number): number => {
        this.#slot = slot
        const value = readPacket(size, offset)
        if (value === undefined) throw END
        return Number(value) | 0
      },
      [NAME.lookup]: (map: number, key: number): number => this.#maps[map].lookup(key, true),
      [NAME.update]: (map: number, key: number, value: number, flags: number, slot: number): number => {
        this.#slot = slot
        const to = this.#maps[map]
        const { valueSize } = to.spec
        return status(to.put ? to.put(key, value, valueSize, flags) : to.update(key, value, valueSize, BigInt(flags)))
      },
      [NAME.remove]: (map: number, key: number, slot: number): number => {
        this.#slot = slot
        return status(this.#maps[map].delete(key))
      },
    }
    for (const step of this.#code.steps) {
      if (step?.helper) imports[`${NAME.helper}${step.insn.imm}`] ??= this.#helper(step.helper, step.arity)
    }
    return imports
  }

  /** The helper as an import: its arguments, then slot and frame. Registers come signed. */
  #helper(helper: Helper, arity: number): (...args: unknown[]) => bigint {
    const { stacks } = this.#around
    const call = this.#call
    return (...args) => {
      this.#slot = args[arity] as number
      this.#frame = args[arity + 1] as number
      stacks.live(this.#frame)
      const reg = (index: number): bigint => (index < arity ? BigInt.asUintN(64, args[index] as bigint) : 0n)
      return helper(call, reg(0), reg(1), reg(2), reg(3), reg(4))
    }
  }

  /** A helper calls back: r0 of the function. */
  #callback(func: bigint, args: readonly bigint[]): bigint {
    const callee = this.#callbacks.get(slotOf(func))
    if (callee === undefined) throw noFunction(func)
    const { stacks } = this.#around
    const slot = this.#slot
    const frame = this.#frame
    const { start, stride } = stacks.layout
    if (frame >= start + (MAX_FRAMES - 1) * stride) throw tooDeep()
    const [r1 = 0n, r2 = 0n, r3 = 0n, r4 = 0n, r5 = 0n] = args
    const r0 = BigInt.asUintN(64, callee(r1, r2, r3, r4, r5, frame + stride))
    this.#slot = slot
    this.#frame = frame
    stacks.live(frame)
    return r0
  }
}

const status = (errno: Errno | undefined): number => (errno ? -ERRNO[errno] : 0)
