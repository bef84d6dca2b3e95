// The concrete arithmetic of one machine word: what the operations of src/isa/machine.ts do to known
// numbers. RFC 9669 sections 4.1 to 4.3. The interpreter computes with it, the compiler folds constants with
// it, and the tests of the WebAssembly JIT and the verifier measure those against it. A word is a bigint from 0
// to 2^64 - 1, in and out; a 32-bit operation reads the low halves and gives a zero-extended result.

import type { Width } from './insn.ts'
import type { BinOp, CondOp } from './machine.ts'

const u64 = (a: bigint): bigint => BigInt.asUintN(64, a)
const s64 = (a: bigint): bigint => BigInt.asIntN(64, a)
const s32 = (a: bigint): number => Number(BigInt.asIntN(32, a))
const u32 = (a: bigint): number => Number(BigInt.asUintN(32, a))
/** A 32-bit result as a word: zero-extended. */
const word = (a: number): bigint => BigInt(a >>> 0)

const BIN64: Readonly<Record<BinOp, (a: bigint, b: bigint) => bigint>> = {
  add: (a, b) => u64(a + b),
  sub: (a, b) => u64(a - b),
  mul: (a, b) => u64(a * b),
  div: (a, b) => (b === 0n ? 0n : a / b),
  // The one overflow, -2^63 / -1, wraps around to -2^63.
  sdiv: (a, b) => (b === 0n ? 0n : u64(s64(a) / s64(b))),
  mod: (a, b) => (b === 0n ? a : a % b),
  // The sign is that of the dividend.
  smod: (a, b) => (b === 0n ? a : u64(s64(a) % s64(b))),
  or: (a, b) => a | b,
  and: (a, b) => a & b,
  xor: (a, b) => a ^ b,
  lsh: (a, b) => u64(a << (b & 63n)),
  rsh: (a, b) => a >> (b & 63n),
  arsh: (a, b) => u64(s64(a) >> (b & 63n)),
}

// JavaScript's own 32-bit operators have the same meaning, masked shift counts and all.
const BIN32: Readonly<Record<BinOp, (a: bigint, b: bigint) => bigint>> = {
  add: (a, b) => word(s32(a) + s32(b)),
  sub: (a, b) => word(s32(a) - s32(b)),
  mul: (a, b) => word(Math.imul(s32(a), s32(b))),
  div: (a, b) => (u32(b) === 0 ? 0n : word(u32(a) / u32(b))),
  sdiv: (a, b) => (s32(b) === 0 ? 0n : word(s32(a) / s32(b))),
  mod: (a, b) => (u32(b) === 0 ? word(u32(a)) : word(u32(a) % u32(b))),
  smod: (a, b) => (s32(b) === 0 ? word(s32(a)) : word(s32(a) % s32(b))),
  or: (a, b) => word(s32(a) | s32(b)),
  and: (a, b) => word(s32(a) & s32(b)),
  xor: (a, b) => word(s32(a) ^ s32(b)),
  lsh: (a, b) => word(s32(a) << s32(b)),
  rsh: (a, b) => word(s32(a) >>> s32(b)),
  arsh: (a, b) => word(s32(a) >> s32(b)),
}

/** `a op b` at the given width. */
export function binOp(op: BinOp, width: Width, a: bigint, b: bigint): bigint {
  return (width === 64 ? BIN64 : BIN32)[op](a, b)
}

/** `-a` at the given width. */
export function neg(width: Width, a: bigint): bigint {
  return BigInt.asUintN(width, -a)
}

/** The low `from` bits of `a`, sign- or zero-extended to `width` bits. */
export function extend(signed: boolean, from: 8 | 16 | 32, width: Width, a: bigint): bigint {
  return signed ? BigInt.asUintN(width, BigInt.asIntN(from, a)) : BigInt.asUintN(from, a)
}

/**
 * The low `bits` bits of `a` in another byte order; the machine itself is little-endian, so to little endian
 * only cuts the value off.
 */
export function swap(to: 'le' | 'be' | 'swap', bits: 16 | 32 | 64, a: bigint): bigint {
  const low = BigInt.asUintN(bits, a)
  if (to === 'le') return low
  let out = 0n
  for (let shift = 0; shift < bits; shift += 8) out = (out << 8n) | ((low >> BigInt(shift)) & 0xffn)
  return out
}

interface Comparison {
  readonly signed: boolean
  readonly holds: (a: bigint, b: bigint) => boolean
}

const eq = (a: bigint, b: bigint): boolean => a === b
const ne = (a: bigint, b: bigint): boolean => a !== b
const gt = (a: bigint, b: bigint): boolean => a > b
const ge = (a: bigint, b: bigint): boolean => a >= b
const lt = (a: bigint, b: bigint): boolean => a < b
const le = (a: bigint, b: bigint): boolean => a <= b
const set = (a: bigint, b: bigint): boolean => (a & b) !== 0n

const CONDITION: Readonly<Record<CondOp, Comparison>> = {
  eq: { signed: false, holds: eq },
  ne: { signed: false, holds: ne },
  gt: { signed: false, holds: gt },
  ge: { signed: false, holds: ge },
  lt: { signed: false, holds: lt },
  le: { signed: false, holds: le },
  sgt: { signed: true, holds: gt },
  sge: { signed: true, holds: ge },
  slt: { signed: true, holds: lt },
  sle: { signed: true, holds: le },
  set: { signed: false, holds: set },
}

/** Whether `a op b` holds at the given width. */
export function condition(op: CondOp, width: Width, a: bigint, b: bigint): boolean {
  const { signed, holds } = CONDITION[op]
  const cut = signed ? BigInt.asIntN : BigInt.asUintN
  return holds(cut(width, a), cut(width, b))
}
