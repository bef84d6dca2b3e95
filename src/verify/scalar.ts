// Scalar: what is known of a 64-bit number: its bits (a tnum) and its bounds, unsigned and signed, of the
// whole and of the low half. After each operation the five are brought into agreement with one another, in the
// order in which the kernel's verifier does it (its reg_bounds_sync), so that verdicts can agree. What the
// two sides of a conditional jump teach is in scalar-branch.ts.

import type { Size, Width } from '../isa/insn.ts'
import type { BinOp } from '../isa/machine.ts'
import {
  type Tnum,
  tnumAdd,
  tnumAnd,
  tnumArsh,
  tnumCast,
  tnumConst,
  tnumIn,
  tnumIntersect,
  tnumIsConst,
  tnumLsh,
  tnumMul,
  tnumOr,
  tnumRange,
  tnumRsh,
  tnumSub,
  tnumSubreg,
  tnumWithSubreg,
  tnumXor,
  U64,
  UNKNOWN,
} from './tnum.ts'

/** Bounds are inclusive. `u` and `s` are of all 64 bits, `u32` and `s32` of the low half. */
export interface Scalar {
  readonly bits: Tnum
  readonly umin: bigint
  readonly umax: bigint
  readonly smin: bigint
  readonly smax: bigint
  readonly u32min: number
  readonly u32max: number
  readonly s32min: number
  readonly s32max: number
}

/** A scalar under construction. */
export type Draft = { -readonly [K in keyof Scalar]: Scalar[K] }

export const S64_MIN = -(1n << 63n)
export const S64_MAX = (1n << 63n) - 1n
export const U32_MAX = 0xffff_ffff
export const S32_MIN = -0x8000_0000
export const S32_MAX = 0x7fff_ffff
const LOW = 0xffff_ffffn
const HIGH = U64 ^ LOW

const u64 = (n: bigint): bigint => BigInt.asUintN(64, n)
const s64 = (n: bigint): bigint => BigInt.asIntN(64, n)
/** The low half of a number, unsigned and signed. */
const lowU = (n: bigint): number => Number(n & LOW)
const lowS = (n: bigint): number => Number(n & LOW) | 0
const max = (a: bigint, b: bigint): bigint => (a > b ? a : b)
const min = (a: bigint, b: bigint): bigint => (a < b ? a : b)

export const ANY: Scalar = {
  bits: UNKNOWN,
  umin: 0n,
  umax: U64,
  smin: S64_MIN,
  smax: S64_MAX,
  u32min: 0,
  u32max: U32_MAX,
  s32min: S32_MIN,
  s32max: S32_MAX,
}

function makeConst(value: bigint): Scalar {
  const u = u64(value)
  const s = s64(value)
  const low = lowU(u)
  return {
    bits: tnumConst(u),
    umin: u,
    umax: u,
    smin: s,
    smax: s,
    u32min: low,
    u32max: low,
    s32min: low | 0,
    s32max: low | 0,
  }
}

const SMALL: readonly Scalar[] = Array.from({ length: 256 }, (_, i) => makeConst(BigInt(i)))
export const ZERO: Scalar = SMALL[0]

/** The number itself, taken modulo 2^64. */
export function scalarConst(value: bigint | number): Scalar {
  if (typeof value === 'number') return value >= 0 && value < 256 ? SMALL[value] : makeConst(BigInt(value))
  return value >= 0n && value < 256n ? SMALL[Number(value)] : makeConst(value)
}

export const isConst = (a: Scalar): boolean => a.bits.mask === 0n
/** Whether the low half (32) or all of it (64) is one known number. */
export const isConstAt = (a: Scalar, width: Width): boolean =>
  width === 64 ? a.bits.mask === 0n : (a.bits.mask & LOW) === 0n
export const valueAt = (a: Scalar, width: Width): bigint => (width === 64 ? a.bits.value : a.bits.value & LOW)
export const isZero = (a: Scalar): boolean => isConst(a) && a.bits.value === 0n

export const draft = (a: Scalar): Draft => ({ ...a })

function forget64(d: Draft): void {
  d.umin = 0n
  d.umax = U64
  d.smin = S64_MIN
  d.smax = S64_MAX
}

function forget32(d: Draft): void {
  d.u32min = 0
  d.u32max = U32_MAX
  d.s32min = S32_MIN
  d.s32max = S32_MAX
}

/** Numbers between two signed bounds. */
export function scalarSignedBetween(low: bigint, high: bigint): Scalar {
  const d = draft(ANY)
  d.smin = low
  d.smax = high
  return sync(d)
}

function boundsFromBits32(d: Draft): void {
  const value = lowU(d.bits.value)
  const mask = lowU(d.bits.mask)
  d.s32min = Math.max(d.s32min, value | (mask & S32_MIN))
  d.s32max = Math.min(d.s32max, value | (mask & S32_MAX))
  d.u32min = Math.max(d.u32min, value)
  d.u32max = Math.min(d.u32max, (value | mask) >>> 0)
}

function boundsFromBits64(d: Draft): void {
  const { value, mask } = d.bits
  d.smin = max(d.smin, s64(value | (mask & (1n << 63n))))
  d.smax = min(d.smax, s64(value | (mask & S64_MAX)))
  d.umin = max(d.umin, value)
  d.umax = min(d.umax, value | mask)
}

export function boundsFromBits(d: Draft): void {
  boundsFromBits32(d)
  boundsFromBits64(d)
}

/** Narrows the bounds of the low half by a range of its own, if the ends are in order as such numbers. */
function learnU32(d: Draft, low: bigint, high: bigint): void {
  d.u32min = Math.max(d.u32min, lowU(low))
  d.u32max = Math.min(d.u32max, lowU(high))
}
function learnS32(d: Draft, low: bigint, high: bigint): void {
  d.s32min = Math.max(d.s32min, lowS(low))
  d.s32max = Math.min(d.s32max, lowS(high))
}

function deduce32(d: Draft): void {
  const uHigh = d.umin >> 32n
  const uHighMax = d.umax >> 32n
  if (uHigh === uHighMax) {
    learnU32(d, d.umin, d.umax)
    if (lowS(d.umin) <= lowS(d.umax)) learnS32(d, d.umin, d.umax)
  }
  const sHigh = d.smin >> 32n
  const sHighMax = d.smax >> 32n
  if (sHigh === sHighMax) {
    if (lowU(d.smin) <= lowU(d.smax)) learnU32(d, d.smin, d.smax)
    if (lowS(d.smin) <= lowS(d.smax)) learnS32(d, d.smin, d.smax)
  }
  // Two neighbouring upper halves around a lower half that goes from negative to positive.
  if (((uHigh + 1n) & LOW) === uHighMax && lowS(d.umin) < 0 && lowS(d.umax) >= 0) learnS32(d, d.umin, d.umax)
  if (((sHigh + 1n) & LOW) === (sHighMax & LOW) && lowS(d.smin) < 0 && lowS(d.smax) >= 0) learnS32(d, d.smin, d.smax)
  if ((d.u32min | 0) <= (d.u32max | 0)) {
    d.s32min = Math.max(d.s32min, d.u32min | 0)
    d.s32max = Math.min(d.s32max, d.u32max | 0)
  }
  if (d.s32min >>> 0 <= d.s32max >>> 0) {
    d.u32min = Math.max(d.u32min, d.s32min >>> 0)
    d.u32max = Math.min(d.u32max, d.s32max >>> 0)
  }
}

function deduce64(d: Draft): void {
  if (s64(d.umin) <= s64(d.umax)) {
    d.smin = max(d.smin, s64(d.umin))
    d.smax = min(d.smax, s64(d.umax))
  }
  const low = u64(d.smin)
  const high = u64(d.smax)
  if (low <= high) {
    d.umin = max(d.umin, low)
    d.umax = min(d.umax, high)
  } else if (d.umax < low) {
    // The signed range wraps around as an unsigned one, and only its lower part is left.
    d.smin = s64(d.umin)
    d.umax = min(d.umax, high)
  } else if (high < d.umin) {
    d.smax = s64(d.umax)
    d.umin = max(d.umin, low)
  }
}

/** Bounds of the whole from bounds of the low half, where the upper half can only be one of two. */
function deduceMixed(d: Draft): void {
  const low = BigInt(d.u32min)
  const high = BigInt(d.u32max)
  d.umin = max(d.umin, (d.umin & HIGH) | low)
  d.umax = min(d.umax, (d.umax & HIGH) | high)
  d.smin = max(d.smin, s64((u64(d.smin) & HIGH) | low))
  d.smax = min(d.smax, s64((u64(d.smax) & HIGH) | high))
  if (d.smin >= BigInt(S32_MIN) && d.smax <= BigInt(S32_MAX)) {
    d.smin = max(d.smin, BigInt(d.s32min))
    d.smax = min(d.smax, BigInt(d.s32max))
  }
}

/** tnumRange gives nonsense for an empty range; the bits are left alone then. */
const rangeBits = (low: bigint, high: bigint): Tnum => (low <= high ? tnumRange(low, high) : UNKNOWN)

function bitsFromBounds(d: Draft): void {
  const whole = tnumIntersect(d.bits, rangeBits(d.umin, d.umax))
  const half = tnumIntersect(tnumSubreg(whole), rangeBits(BigInt(d.u32min), BigInt(d.u32max)))
  d.bits = tnumWithSubreg(whole, half)
}

/** Whether no number fits: a path that cannot be taken, seen too late to know which. */
const isEmpty = (d: Draft): boolean =>
  d.umin > d.umax ||
  d.smin > d.smax ||
  d.u32min > d.u32max ||
  d.s32min > d.s32max ||
  (d.bits.value & d.bits.mask) !== 0n

/** Brings bits and bounds into agreement. Contradictory ones become "any number", as in the kernel. */
export function sync(d: Draft): Scalar {
  if (d.bits.mask === 0n && d.umin === d.bits.value && d.umax === d.umin) return scalarConst(d.umin)
  boundsFromBits(d)
  for (let pass = 0; pass < 3; pass++) {
    deduce32(d)
    deduce64(d)
    deduceMixed(d)
  }
  bitsFromBounds(d)
  boundsFromBits(d)
  return isEmpty(d) ? ANY : d
}

const fits = (low: bigint, high: bigint): boolean => low >= S64_MIN && high <= S64_MAX

function add(d: Draft, b: Scalar): void {
  addBounds(d, d, b)
  const s32min = d.s32min + b.s32min
  const s32max = d.s32max + b.s32max
  const signed = s32min >= S32_MIN && s32max <= S32_MAX
  d.s32min = signed ? s32min : S32_MIN
  d.s32max = signed ? s32max : S32_MAX
  const low = d.u32min + b.u32min
  const high = d.u32max + b.u32max
  // All sums wrap around, or none: then the ends are still the ends.
  const same = low > U32_MAX === high > U32_MAX
  d.u32min = same ? low >>> 0 : 0
  d.u32max = same ? high >>> 0 : U32_MAX
  d.bits = tnumAdd(d.bits, b.bits)
}

/** The 64-bit bounds of a + b into `d`. */
export function addBounds(d: Draft, a: Scalar, b: Scalar): void {
  const smin = a.smin + b.smin
  const smax = a.smax + b.smax
  const signed = fits(smin, smax)
  const low = a.umin + b.umin
  const high = a.umax + b.umax
  const same = low > U64 === high > U64
  d.smin = signed ? smin : S64_MIN
  d.smax = signed ? smax : S64_MAX
  d.umin = same ? u64(low) : 0n
  d.umax = same ? u64(high) : U64
}

function sub(d: Draft, b: Scalar): void {
  subBounds(d, d, b)
  const s32min = d.s32min - b.s32max
  const s32max = d.s32max - b.s32min
  const signed = s32min >= S32_MIN && s32max <= S32_MAX
  d.s32min = signed ? s32min : S32_MIN
  d.s32max = signed ? s32max : S32_MAX
  const low = d.u32min - b.u32max
  const high = d.u32max - b.u32min
  const same = low < 0 === high < 0
  d.u32min = same ? low >>> 0 : 0
  d.u32max = same ? high >>> 0 : U32_MAX
  d.bits = tnumSub(d.bits, b.bits)
}

/** The 64-bit bounds of a - b into `d`. */
export function subBounds(d: Draft, a: Scalar, b: Scalar): void {
  const smin = a.smin - b.smax
  const smax = a.smax - b.smin
  const signed = fits(smin, smax)
  const low = a.umin - b.umax
  const high = a.umax - b.umin
  const same = low < 0n === high < 0n
  d.smin = signed ? smin : S64_MIN
  d.smax = signed ? smax : S64_MAX
  d.umin = same ? u64(low) : 0n
  d.umax = same ? u64(high) : U64
}

function mul(d: Draft, b: Scalar): void {
  const products = [d.smin * b.smin, d.smin * b.smax, d.smax * b.smin, d.smax * b.smax]
  const smin = products.reduce(min)
  const smax = products.reduce(max)
  const signed = fits(smin, smax)
  const high = d.umax * b.umax
  d.umin = high <= U64 ? d.umin * b.umin : 0n
  d.umax = min(high, U64)
  d.smin = signed ? smin : S64_MIN
  d.smax = signed ? smax : S64_MAX
  mul32(d, b)
  d.bits = tnumMul(d.bits, b.bits)
}

function mul32(d: Draft, b: Scalar): void {
  // Exact as long as it fits: a product beyond 2^53 is rounded, but is far out of range then.
  const products = [d.s32min * b.s32min, d.s32min * b.s32max, d.s32max * b.s32min, d.s32max * b.s32max]
  const low = Math.min(...products)
  const high = Math.max(...products)
  const signed = low >= S32_MIN && high <= S32_MAX
  const top = d.u32max * b.u32max
  d.u32min = top <= U32_MAX ? d.u32min * b.u32min : 0
  d.u32max = Math.min(top, U32_MAX)
  // `| 0` also makes a plain zero of -0.
  d.s32min = signed ? low | 0 : S32_MIN
  d.s32max = signed ? high | 0 : S32_MAX
}

/** Signed bounds from unsigned ones, where those stay on one side of the sign. */
function signFromUnsigned(d: Draft): void {
  const same = s64(d.umin) <= s64(d.umax)
  d.smin = same ? s64(d.umin) : S64_MIN
  d.smax = same ? s64(d.umax) : S64_MAX
  const same32 = (d.u32min | 0) <= (d.u32max | 0)
  d.s32min = same32 ? d.u32min | 0 : S32_MIN
  d.s32max = same32 ? d.u32max | 0 : S32_MAX
}

function and(d: Draft, b: Scalar): void {
  d.bits = tnumAnd(d.bits, b.bits)
  d.umin = d.bits.value
  d.umax = min(d.umax, b.umax)
  d.u32min = lowU(d.bits.value)
  d.u32max = Math.min(d.u32max, b.u32max)
  signFromUnsigned(d)
  boundsFromBits(d)
}

function or(d: Draft, b: Scalar): void {
  d.bits = tnumOr(d.bits, b.bits)
  d.umin = max(d.umin, b.umin)
  d.umax = d.bits.value | d.bits.mask
  d.u32min = Math.max(d.u32min, b.u32min)
  d.u32max = lowU(d.umax)
  signFromUnsigned(d)
  boundsFromBits(d)
}

function xor(d: Draft, b: Scalar): void {
  d.bits = tnumXor(d.bits, b.bits)
  d.umin = d.bits.value
  d.umax = d.bits.value | d.bits.mask
  d.u32min = lowU(d.umin)
  d.u32max = lowU(d.umax)
  signFromUnsigned(d)
  boundsFromBits(d)
}

/** Shifts the bounds of the low half; `by` is below 32. */
function lsh32(d: Draft, by: number): void {
  d.s32min = S32_MIN
  d.s32max = S32_MAX
  const high = d.u32max * 2 ** by
  // As the kernel has it: the top bit itself may be reached, not passed.
  if (d.u32max > 2 ** (31 - by)) {
    d.u32min = 0
    d.u32max = U32_MAX
  } else {
    d.u32min = (d.u32min << by) >>> 0
    d.u32max = high
  }
}

function lsh(d: Draft, by: number, width: Width): void {
  if (width === 32) {
    lsh32(d, by)
    d.bits = tnumSubreg(tnumLsh(tnumSubreg(d.bits), by))
    forget64(d)
    boundsFromBits32(d)
    return
  }
  const n = BigInt(by)
  // `<<= 32; s>>= 32` is how compilers sign-extend a low half, so its signed bounds are kept.
  d.smin = by === 32 ? BigInt(d.s32min) << 32n : S64_MIN
  d.smax = by === 32 ? BigInt(d.s32max) << 32n : S64_MAX
  if (d.umax > 1n << (63n - n)) {
    d.umin = 0n
    d.umax = U64
  } else {
    d.umin <<= n
    d.umax <<= n
  }
  if (by < 32) lsh32(d, by)
  else forget32(d)
  d.bits = tnumLsh(d.bits, by)
  boundsFromBits(d)
}

function rsh(d: Draft, by: number, width: Width): void {
  if (width === 32) {
    d.bits = tnumRsh(tnumSubreg(d.bits), by)
    d.u32min >>>= by
    d.u32max >>>= by
    d.s32min = S32_MIN
    d.s32max = S32_MAX
    forget64(d)
    boundsFromBits32(d)
    return
  }
  const n = BigInt(by)
  d.bits = tnumRsh(d.bits, by)
  d.umin >>= n
  d.umax >>= n
  d.smin = S64_MIN
  d.smax = S64_MAX
  forget32(d)
  boundsFromBits(d)
}

function arsh(d: Draft, by: number, width: Width): void {
  if (width === 32) {
    d.bits = tnumArsh(tnumSubreg(d.bits), by, 32)
    d.s32min >>= by
    d.s32max >>= by
    d.u32min = 0
    d.u32max = U32_MAX
    forget64(d)
    boundsFromBits32(d)
    return
  }
  d.bits = tnumArsh(d.bits, by, 64)
  d.smin >>= BigInt(by)
  d.smax >>= BigInt(by)
  d.umin = 0n
  d.umax = U64
  forget32(d)
  boundsFromBits(d)
}

/** Makes the whole follow from the low half, the upper half being zero now. */
function zeroExtend(d: Draft): void {
  d.bits = tnumSubreg(d.bits)
  d.umin = BigInt(d.u32min)
  d.umax = BigInt(d.u32max)
  const positive = d.s32min >= 0
  d.smin = positive ? BigInt(d.s32min) : 0n
  d.smax = positive ? BigInt(d.s32max) : LOW
}

const SHIFTS: Partial<Record<BinOp, (d: Draft, by: number, width: Width) => void>> = { lsh, rsh, arsh }
const PLAIN: Partial<Record<BinOp, (d: Draft, b: Scalar) => void>> = { add, sub, mul, and, or, xor }

/**
 * The result of a two-operand operation. Division, modulo and shifts by an unknown or too large amount give any
 * number, even where only the low half is computed, as the kernel has it up to 6.18.
 */
export function scalarBin(op: BinOp, width: Width, a: Scalar, b: Scalar): Scalar {
  const d = draft(a)
  const shift = SHIFTS[op]
  const plain = PLAIN[op]
  const amount = isConstAt(b, width) ? valueAt(b, width) : 64n
  // The kernel looks at all 64 bits of the amount, even where the machine takes the low half only.
  if (shift && amount < BigInt(width) && b.umax < BigInt(width)) shift(d, Number(amount), width)
  else if (plain) plain(d, b)
  else return ANY
  if (width === 32) zeroExtend(d)
  return sync(d)
}

export function scalarNeg(width: Width, a: Scalar): Scalar {
  return scalarBin('sub', width, ZERO, a)
}

/** The low `size` bytes, zero-extended. */
export function scalarTruncate(a: Scalar, size: Size): Scalar {
  if (size === 8) return a
  const bits = size * 8
  const keep = (1n << BigInt(bits)) - 1n
  if (isConst(a)) return scalarConst(a.bits.value & keep)
  const d = draft(a)
  d.bits = tnumCast(a.bits, bits)
  const same = (a.umin & ~keep) === (a.umax & ~keep)
  d.umin = same ? a.umin & keep : 0n
  d.umax = same ? a.umax & keep : keep
  d.smin = d.umin
  d.smax = d.umax
  if (size < 4) forget32(d)
  return sync(d)
}

/** The low `size` bytes as a signed number, extended to 64 bits. */
export function scalarSignExtend(a: Scalar, size: 1 | 2 | 4): Scalar {
  const bits = size * 8
  const sign = 1n << BigInt(bits - 1)
  if (isConst(a)) return scalarConst(BigInt.asIntN(bits, a.bits.value))
  const d = draft(ANY)
  const top = BigInt.asIntN(bits, a.smin) <= BigInt.asIntN(bits, a.smax)
  if (a.smin >> BigInt(bits) === a.smax >> BigInt(bits) && top) {
    d.smin = BigInt.asIntN(bits, a.smin)
    d.smax = BigInt.asIntN(bits, a.smax)
  } else {
    d.smin = -sign
    d.smax = sign - 1n
  }
  const known = (a.bits.mask & sign) === 0n
  const low = tnumCast(a.bits, bits)
  const upper = U64 ^ ((sign << 1n) - 1n)
  if (known) d.bits = a.bits.value & sign ? { value: low.value | upper, mask: low.mask } : low
  return sync(d)
}

/** Bits of the number that may be other than zero, from the top: its width as the kernel's get_reg_width. */
export function scalarWidth(a: Scalar): number {
  let n = a.umax
  let bits = 0
  while (n > 0n) {
    n >>= 8n
    bits += 8
  }
  if (bits === 0) return 0
  const top = Number(a.umax >> BigInt(bits - 8))
  return bits - 8 + (32 - Math.clz32(top))
}

/** Whether `outer` allows every number that `inner` allows, bound by bound and bit by bit. */
export const scalarIn = (outer: Scalar, inner: Scalar): boolean =>
  outer === inner ||
  (outer.umin <= inner.umin &&
    outer.umax >= inner.umax &&
    outer.smin <= inner.smin &&
    outer.smax >= inner.smax &&
    outer.u32min <= inner.u32min &&
    outer.u32max >= inner.u32max &&
    outer.s32min <= inner.s32min &&
    outer.s32max >= inner.s32max &&
    tnumIn(outer.bits, inner.bits))

export const scalarEqual = (a: Scalar, b: Scalar): boolean =>
  a === b ||
  (a.bits.value === b.bits.value &&
    a.bits.mask === b.bits.mask &&
    a.umin === b.umin &&
    a.umax === b.umax &&
    a.smin === b.smin &&
    a.smax === b.smax &&
    a.u32min === b.u32min &&
    a.u32max === b.u32max &&
    a.s32min === b.s32min &&
    a.s32max === b.s32max)

/** For people: `5`, `0..255`, `-3..3`, `any number`. */
export function scalarText(a: Scalar): string {
  if (isConst(a)) return s64(a.bits.value).toString()
  if (a.umin === 0n && a.umax === U64 && a.smin === S64_MIN && a.smax === S64_MAX) return 'any number'
  if (a.umax <= S64_MAX) return `${a.umin}..${a.umax}`
  return `${a.smin}..${a.smax}`
}

export { tnumIsConst }
