// Tracer: a run as a sequence of steps, each with what it changed: registers and bytes of the stack. What a step
// changed is known when the next one begins, so each is told one instruction late and the last one by `end`.

import type { Location } from '../../diag/diagnostic.ts'
import type { ProgramSpec } from '../../object/spec.ts'
import { sourceOf } from './code.ts'
import type { ObservedMachine, Observer } from './observer.ts'
import { STACK_SIZE } from './stacks.ts'

/** What a number in a register is, where it is an address: a part of memory and how far into it. */
export interface PointsTo {
  readonly what: 'fp' | 'pkt' | 'pkt_end' | 'ctx'
  readonly offset: number
}

export interface Changed {
  readonly value: bigint
  /** The memory that has this number as an address; a number may have it by accident. */
  readonly points?: PointsTo
}

export interface TraceStep {
  readonly program: ProgramSpec
  readonly slot: number
  /** 1 in the program itself, one more in each function that it called. */
  readonly depth: number
  readonly at: Location | undefined
  /** Registers that it gave another value, by number. */
  readonly registers: ReadonlyMap<number, Changed>
  /** 8-byte words of the function's stack that it gave another value, by offset from r10. */
  readonly stack: ReadonlyMap<number, Changed>
}

interface Pending {
  readonly program: ProgramSpec
  readonly slot: number
  readonly depth: number
  readonly registers: readonly bigint[]
  readonly framePointer: number
  readonly stack: BigUint64Array
}

export class Tracer implements Observer {
  readonly #tell: (step: TraceStep) => void
  #pending: Pending | undefined
  #machine: ObservedMachine | undefined
  #context = 0

  /** `tell` is called once for each instruction that ran, in order. */
  constructor(tell: (step: TraceStep) => void) {
    this.#tell = tell
  }

  before(slot: number, machine: ObservedMachine): void {
    if (this.#pending === undefined) this.#context = Number(machine.registers[1])
    this.#flush(machine)
    const framePointer = Number(machine.registers[10])
    const { program, depth } = machine
    const registers = [...machine.registers]
    this.#pending = { program, slot, depth, registers, framePointer, stack: stackOf(machine, framePointer) }
    this.#machine = machine
  }

  /** After a run: tells the last step. */
  end(): void {
    if (this.#machine) this.#flush(this.#machine)
    this.#pending = undefined
  }

  #flush(machine: ObservedMachine): void {
    const { program, slot, depth, registers, framePointer, stack } = this.#pending ?? {}
    if (program === undefined || slot === undefined || depth === undefined || !registers || !stack) return
    const points = (value: bigint) => this.#points(value, framePointer ?? 0, machine)
    const changed = new Map<number, Changed>()
    // A return gives the caller's r6 to r9 back, and r10 changes with the frame: neither is news.
    const kept = machine.depth < depth ? 6 : 10
    for (let reg = 0; reg < kept; reg++) {
      const value = machine.registers[reg]
      if (value !== registers[reg]) changed.set(reg, { value, points: points(value) })
    }
    const words = new Map<number, Changed>()
    if (depth <= machine.depth) {
      const now = stackOf(machine, framePointer ?? 0)
      now.forEach((value, i) => {
        if (value !== stack[i]) words.set(i * 8 - STACK_SIZE, { value, points: points(value) })
      })
    }
    this.#tell({ program, slot, depth, at: sourceOf(program, slot), registers: changed, stack: words })
  }

  #points(value: bigint, framePointer: number, { packet }: ObservedMachine): PointsTo | undefined {
    const address = Number(value)
    if (address === this.#context) return { what: 'ctx', offset: 0 }
    if (address <= framePointer && address >= framePointer - STACK_SIZE)
      return { what: 'fp', offset: address - framePointer }
    if (packet.length === 0) return undefined
    if (address === packet.end) return { what: 'pkt_end', offset: 0 }
    if (address >= packet.data && address < packet.end) return { what: 'pkt', offset: address - packet.data }
    return undefined
  }
}

/** A copy of the stack below a frame pointer, as words. */
function stackOf({ memory }: ObservedMachine, framePointer: number): BigUint64Array {
  return new BigUint64Array(memory.bytes.slice(framePointer - STACK_SIZE, framePointer).buffer)
}
