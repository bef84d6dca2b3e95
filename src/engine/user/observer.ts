// Observer: somebody who looks on while the interpreter runs, one instruction at a time. Coverage, traces and the
// debugger are observers; a run without one pays for a test of a local variable.

import type { ProgramSpec } from '../../object/spec.ts'
import type { Memory } from './memory.ts'
import type { Packet } from './packet.ts'

/** One function that is being run. */
export interface ObservedFrame {
  /** Its r10: the end of its stack. */
  readonly framePointer: number
  /** The instruction that it is at: the next one, or in a caller the call that it waits for. */
  readonly slot: number
}

/** The machine between two instructions. Everything in it is live: copy what is to be kept. */
export interface ObservedMachine {
  readonly program: ProgramSpec
  /** r0 to r10, as unsigned 64-bit numbers. */
  readonly registers: readonly bigint[]
  /** How many functions are being run; 1 in the program itself. */
  readonly depth: number
  readonly memory: Memory
  /** Empty where the program has none. */
  readonly packet: Packet
  /** The outermost first. */
  frames(): ObservedFrame[]
}

export interface Observer {
  /** Before the instruction at `slot` runs. What it throws ends the run and comes out of it. */
  before(slot: number, machine: ObservedMachine): void
}
