// Tnum: what is known of each bit of a 64-bit number, the abstract domain of "tristate numbers" that the
// kernel's verifier uses (kernel/bpf/tnum.c, and Vishwanathan et al., "Sound, Precise, and Fast Abstract
// Interpretation with Tristate Numbers", 2022). A bit is known (mask 0, value its bit) or unknown (mask 1,
// value 0). All numbers are unsigned 64-bit bigints.

export interface Tnum {
  readonly value: bigint
  readonly mask: bigint
}

export const U64 = 0xffff_ffff_ffff_ffffn
const LOW = 0xffff_ffffn
const HIGH = U64 ^ LOW

export const UNKNOWN: Tnum = { value: 0n, mask: U64 }

export const tnumConst = (value: bigint): Tnum => ({ value, mask: 0n })

const u64 = (n: bigint): bigint => BigInt.asUintN(64, n)

/** How many bits `n` needs: 0 for 0, 64 for 2^63. */
function bitLength(n: bigint): number {
  const high = Number(n >> 32n)
  return high > 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(Number(n & LOW))
}

/** The smallest tnum that holds every number from `min` to `max`: the bits that the two have in common from the top. */
export function tnumRange(min: bigint, max: bigint): Tnum {
  const bits = bitLength(min ^ max)
  if (bits === 64) return UNKNOWN
  const mask = (1n << BigInt(bits)) - 1n
  return { value: min & ~mask & U64, mask }
}

export const tnumIsConst = (t: Tnum): boolean => t.mask === 0n

export function tnumAdd(a: Tnum, b: Tnum): Tnum {
  const masks = a.mask + b.mask
  const values = a.value + b.value
  // Where the sum with all unknown bits set differs from the sum with none set, a carry may arrive.
  const mask = ((masks + values) ^ values) | a.mask | b.mask
  return { value: u64(values & ~mask), mask: u64(mask) }
}

export function tnumSub(a: Tnum, b: Tnum): Tnum {
  const difference = a.value - b.value
  const mask = ((difference + a.mask) ^ (difference - b.mask)) | a.mask | b.mask
  return { value: u64(difference & ~mask), mask: u64(mask) }
}

export function tnumAnd(a: Tnum, b: Tnum): Tnum {
  const value = a.value & b.value
  return { value, mask: (a.value | a.mask) & (b.value | b.mask) & ~value & U64 }
}

export function tnumOr(a: Tnum, b: Tnum): Tnum {
  const value = a.value | b.value
  return { value, mask: (a.mask | b.mask) & ~value & U64 }
}

export function tnumXor(a: Tnum, b: Tnum): Tnum {
  const mask = a.mask | b.mask
  return { value: (a.value ^ b.value) & ~mask & U64, mask }
}

/** What holds whichever of the two it is. */
export function tnumUnion(a: Tnum, b: Tnum): Tnum {
  const mask = (a.value ^ b.value) | a.mask | b.mask
  return { value: a.value & b.value & ~mask & U64, mask }
}

/** Long multiplication: for each bit of `a`, add the shifted `b`, or do both where that bit is unknown. */
export function tnumMul(a: Tnum, b: Tnum): Tnum {
  if (a.mask === 0n && b.mask === 0n) return tnumConst(u64(a.value * b.value))
  let { value, mask } = a
  let shifted = b
  let sum = tnumConst(0n)
  while (value !== 0n || mask !== 0n) {
    if (value & 1n) sum = tnumAdd(sum, shifted)
    else if (mask & 1n) sum = tnumUnion(sum, tnumAdd(sum, shifted))
    value >>= 1n
    mask >>= 1n
    shifted = tnumLsh(shifted, 1)
  }
  return sum
}

export const tnumLsh = (a: Tnum, by: number): Tnum => ({
  value: u64(a.value << BigInt(by)),
  mask: u64(a.mask << BigInt(by)),
})

export const tnumRsh = (a: Tnum, by: number): Tnum => ({ value: a.value >> BigInt(by), mask: a.mask >> BigInt(by) })

/** Arithmetic shift of the low `bits` bits; the sign bit of the mask spreads as that of the value does. */
export function tnumArsh(a: Tnum, by: number, bits: 32 | 64): Tnum {
  const shift = (n: bigint): bigint => BigInt.asUintN(bits, BigInt.asIntN(bits, n) >> BigInt(by))
  return { value: shift(a.value), mask: shift(a.mask) }
}

/** What both say. The caller knows that some number is in both. */
export function tnumIntersect(a: Tnum, b: Tnum): Tnum {
  const mask = a.mask & b.mask
  return { value: (a.value | b.value) & ~mask & U64, mask }
}

/** Whether some number is in both. */
export const tnumOverlap = (a: Tnum, b: Tnum): boolean => ((a.value ^ b.value) & ~(a.mask | b.mask) & U64) === 0n

/** Whether `outer` holds every number that `inner` holds. */
export const tnumIn = (outer: Tnum, inner: Tnum): boolean =>
  (inner.mask & ~outer.mask) === 0n && outer.value === (inner.value & ~outer.mask)

/** Whether every number it holds is a multiple of `size`, a power of two. */
export const tnumAligned = (a: Tnum, size: number): boolean => ((a.value | a.mask) & BigInt(size - 1)) === 0n

/** Zero-extension of the low `bits` bits. */
export const tnumCast = (a: Tnum, bits: number): Tnum => {
  const keep = (1n << BigInt(bits)) - 1n
  return { value: a.value & keep, mask: a.mask & keep }
}

export const tnumSubreg = (a: Tnum): Tnum => ({ value: a.value & LOW, mask: a.mask & LOW })

export const tnumWithSubreg = (a: Tnum, low: Tnum): Tnum => ({
  value: (a.value & HIGH) | (low.value & LOW),
  mask: (a.mask & HIGH) | (low.mask & LOW),
})
