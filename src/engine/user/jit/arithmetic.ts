// The arithmetic of src/isa/concrete.ts as WebAssembly. Where the two sets of instructions agree (all but division,
// which traps there, and byte swaps, which do not exist there) an operation is one opcode.

import type { Width } from '../../../isa/insn.ts'
import type { BinOp, CondOp } from '../../../isa/machine.ts'
import { type Code, OP, TYPE } from './wasm.ts'

type Emit = () => void

/** Opcodes by width, 32 and 64. Shift counts are masked as in eBPF. */
const BINARY: Readonly<Record<BinOp, readonly [number, number]>> = {
  add: [OP.i32_add, OP.i64_add],
  sub: [OP.i32_sub, OP.i64_sub],
  mul: [OP.i32_mul, OP.i64_mul],
  div: [OP.i32_div_u, OP.i64_div_u],
  sdiv: [OP.i32_div_s, OP.i64_div_s],
  mod: [OP.i32_rem_u, OP.i64_rem_u],
  smod: [OP.i32_rem_s, OP.i64_rem_s],
  or: [OP.i32_or, OP.i64_or],
  and: [OP.i32_and, OP.i64_and],
  xor: [OP.i32_xor, OP.i64_xor],
  lsh: [OP.i32_shl, OP.i64_shl],
  rsh: [OP.i32_shr_u, OP.i64_shr_u],
  arsh: [OP.i32_shr_s, OP.i64_shr_s],
}

const CONDITION: Readonly<Record<Exclude<CondOp, 'set'>, readonly [number, number]>> = {
  eq: [OP.i32_eq, OP.i64_eq],
  ne: [OP.i32_ne, OP.i64_ne],
  gt: [OP.i32_gt_u, OP.i64_gt_u],
  ge: [OP.i32_ge_u, OP.i64_ge_u],
  lt: [OP.i32_lt_u, OP.i64_lt_u],
  le: [OP.i32_le_u, OP.i64_le_u],
  sgt: [OP.i32_gt_s, OP.i64_gt_s],
  sge: [OP.i32_ge_s, OP.i64_ge_s],
  slt: [OP.i32_lt_s, OP.i64_lt_s],
  sle: [OP.i32_le_s, OP.i64_le_s],
}

const half = (width: Width): 0 | 1 => (width === 32 ? 0 : 1)
const constant = (code: Code, width: Width, value: number): void => (width === 32 ? code.i32(value) : code.i64(value))

/**
 * a op b, both of `width` (i32 or i64); `divisor` is b's value where it is known, sign-extended. `a` and `b` may be
 * emitted more than once.
 */
export function binary(code: Code, op: BinOp, width: Width, a: Emit, b: Emit, divisor: number | undefined): void {
  const plain = (): void => {
    a()
    b()
    code.op(BINARY[op][half(width)])
  }
  const type = width === 32 ? TYPE.i32 : TYPE.i64
  const zero = width === 32 ? OP.i32_eqz : OP.i64_eqz
  const divides = op === 'div' || op === 'sdiv'
  if (!divides && op !== 'mod' && op !== 'smod') {
    plain()
    return
  }
  // By zero: the quotient is 0, the remainder the dividend. The least number by -1 is itself, and would trap.
  const byZero = (): void => (divides ? constant(code, width, 0) : a())
  const negated = (): void => {
    constant(code, width, 0)
    a()
    code.op(BINARY.sub[half(width)])
  }
  if (divisor !== undefined) {
    if (divisor === 0) byZero()
    else if (divisor === -1 && op === 'sdiv') negated()
    else plain()
    return
  }
  b()
  code.op(zero)
  code.block(OP.if, type)
  byZero()
  code.op(OP.else)
  if (op === 'sdiv') {
    b()
    constant(code, width, -1)
    code.op(CONDITION.eq[half(width)])
    code.block(OP.if, type)
    negated()
    code.op(OP.else)
    plain()
    code.end()
  } else plain()
  code.end()
}

/** Leaves an i32 that is not zero if a op b holds. `bIsZero`: b is known to be 0. */
export function compare(code: Code, op: CondOp, width: Width, a: Emit, b: Emit, bIsZero: boolean): void {
  a()
  if (bIsZero && op === 'eq') {
    code.op(width === 32 ? OP.i32_eqz : OP.i64_eqz)
    return
  }
  if (bIsZero && op === 'ne' && width === 32) return
  b()
  if (op !== 'set') {
    code.op(CONDITION[op][half(width)])
    return
  }
  code.op(BINARY.and[half(width)])
  if (width === 32) return
  code.i64(0)
  code.op(OP.i64_ne)
}

/** The byte order of an i32 turned around; `temp` is a local i32. Takes it from the stack. */
export function swap32(code: Code, temp: number): void {
  code.tee(temp)
  code.i32(8)
  code.op(OP.i32_rotl)
  code.i32(0x00ff00ff)
  code.op(OP.i32_and)
  code.get(temp)
  code.i32(8)
  code.op(OP.i32_rotr)
  code.i32(0xff00ff00 | 0)
  code.op(OP.i32_and)
  code.op(OP.i32_or)
}

/** The low 16 bits of an i32 in the other byte order, the rest 0; `temp` is a local i32. */
export function swap16(code: Code, temp: number): void {
  code.tee(temp)
  code.i32(8)
  code.op(OP.i32_shr_u)
  code.i32(0xff)
  code.op(OP.i32_and)
  code.get(temp)
  code.i32(0xff)
  code.op(OP.i32_and)
  code.i32(8)
  code.op(OP.i32_shl)
  code.op(OP.i32_or)
}

/** The byte order of an i64 turned around; `temp` is a local i64. */
export function swap64(code: Code, temp: number): void {
  for (const [shift, mask] of [
    [8, 0x00ff00ff00ff00ffn],
    [16, 0x0000ffff0000ffffn],
  ] as const) {
    code.tee(temp)
    code.i64(mask)
    code.op(OP.i64_and)
    code.i64(shift)
    code.op(OP.i64_shl)
    code.get(temp)
    code.i64(shift)
    code.op(OP.i64_shr_u)
    code.i64(mask)
    code.op(OP.i64_and)
    code.op(OP.i64_or)
  }
  code.i64(32)
  code.op(OP.i64_rotl)
}

/** Opcodes that sign-extend the low bits within an i32 or an i64. */
export const SIGN_EXTEND: Readonly<Record<Width, Readonly<Partial<Record<8 | 16 | 32, number>>>>> = {
  32: { 8: OP.i32_extend8_s, 16: OP.i32_extend16_s },
  64: { 8: OP.i64_extend8_s, 16: OP.i64_extend16_s, 32: OP.i64_extend32_s },
}

/** Loads to an i64, zero- and sign-extended, and stores of its low bytes, by size. */
export const LOAD = { 1: OP.i64_load8_u, 2: OP.i64_load16_u, 4: OP.i64_load32_u, 8: OP.i64_load } as const
export const LOAD_SIGNED = { 1: OP.i64_load8_s, 2: OP.i64_load16_s, 4: OP.i64_load32_s, 8: OP.i64_load } as const
export const STORE = { 1: OP.i64_store8, 2: OP.i64_store16, 4: OP.i64_store32, 8: OP.i64_store } as const

export const opcodeOf = (op: BinOp, width: Width): number => BINARY[op][half(width)]
