// The low representation between instruction selection and emission: one step is one or two eBPF
// instructions, registers are still virtual and without number. Blocks are in the order of emission.

import type { Size, Width } from '../isa/insn.ts'
import type { BinOp, CondOp } from '../isa/machine.ts'
import type { Slot } from './ir.ts'

/** A virtual register. */
export interface Reg {
  readonly id: number
  /** Lives for one step only, made by spilling: spilling it again would not help. */
  readonly short: boolean
}

/** A spilled register's place: 8 bytes of the stack. */
export interface Spill {
  readonly index: number
}

/** Where memory is: a register, or the frame pointer. The offset is relative to it; slots are below it. */
export type Base = Reg | 'fp'

/** What may be passed to a helper. Constants and addresses are made in the argument register itself. */
export type Arg =
  | { readonly kind: 'reg'; readonly reg: Reg }
  | { readonly kind: 'spill'; readonly spill: Spill }
  | Constant

/** A value that can be made from nothing. */
export type Constant =
  | { readonly kind: 'imm'; readonly value: bigint }
  | { readonly kind: 'slot'; readonly slot: Slot; readonly offset: number }
  | { readonly kind: 'map'; readonly map: string }
  | { readonly kind: 'mapValue'; readonly map: string; readonly offset: number }

export type Step =
  /** What arrives in r1 to r5: the context, parameters. First in the program, and all moved at once. */
  | { readonly op: 'entry'; readonly from: number; d: Reg | undefined; spill: Spill | undefined; at: number }
  | { readonly op: 'mov'; d: Reg; a: Reg; at: number }
  | { readonly op: 'make'; d: Reg; constant: Constant; at: number }
  | { readonly op: 'alu'; bin: BinOp; width: Width; d: Reg; a: Reg; b: Reg | number; at: number }
  | { readonly op: 'extend'; from: 8 | 16 | 32; signed: boolean; d: Reg; a: Reg; at: number }
  | { readonly op: 'swap'; bits: 16 | 32 | 64; d: Reg; a: Reg; at: number }
  | { readonly op: 'load'; size: Size; d: Reg; base: Base; offset: number; at: number }
  | { readonly op: 'store'; size: Size; base: Base; offset: number; a: Reg | number; at: number }
  | { readonly op: 'atomicAdd'; size: 4 | 8; base: Base; offset: number; a: Reg; at: number }
  /** A helper by its number, a function of the program by its name. */
  | { readonly op: 'call'; callee: number | string; args: Arg[]; d: Reg | undefined; at: number }
  | { readonly op: 'fill'; d: Reg; spill: Spill; at: number }
  | { readonly op: 'keep'; a: Reg; spill: Spill; at: number }
  | { readonly op: 'branch'; cond: CondOp; a: Reg; b: Reg | number; yes: LowBlock; no: LowBlock; at: number }
  | { readonly op: 'jump'; to: LowBlock; at: number }
  | { readonly op: 'exit'; a: Reg | number; at: number }

export interface LowBlock {
  readonly id: number
  steps: Step[]
}

export interface LowProgram {
  readonly name: string
  blocks: LowBlock[]
  /** The next virtual register's id. */
  regs: number
  /** How many spill places there are. */
  spills: number
}

const isReg = (operand: Reg | number | 'fp' | undefined): operand is Reg => typeof operand === 'object'

/** Registers that a step reads. */
export function usesOf(step: Step): Reg[] {
  switch (step.op) {
    case 'entry':
    case 'make':
    case 'jump':
    case 'fill':
      return []
    case 'mov':
    case 'extend':
    case 'swap':
    case 'keep':
      return [step.a]
    case 'alu':
    case 'branch':
      return isReg(step.b) ? [step.a, step.b] : [step.a]
    case 'load':
      return isReg(step.base) ? [step.base] : []
    case 'store':
    case 'atomicAdd':
      return [step.base, step.a].filter(isReg)
    case 'call':
      return step.args.flatMap((arg) => (arg.kind === 'reg' ? [arg.reg] : []))
    case 'exit':
      return isReg(step.a) ? [step.a] : []
  }
}

/** The register that a step writes. */
export function defOf(step: Step): Reg | undefined {
  return 'd' in step ? step.d : undefined
}

export function lowSuccessors(block: LowBlock): LowBlock[] {
  const end = block.steps[block.steps.length - 1]
  if (end.op === 'jump') return [end.to]
  return end.op === 'branch' ? [end.yes, end.no] : []
}
