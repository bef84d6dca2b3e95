// What a conditional jump on two scalars decides or teaches: whether it is known to be taken, and how both
// operands are narrowed on the edge where the condition holds. The edge where it fails is the one where the
// opposite condition holds. The rules are those of the kernel's verifier (is_scalar_branch_taken and
// regs_refine_cond_op), so that both prune the same edges.

import type { Width } from '../isa/insn.ts'
import type { CondOp } from '../isa/machine.ts'
import { type Draft, draft, isConstAt, type Scalar, sync, valueAt } from './scalar.ts'
import { tnumAnd, tnumConst, tnumIntersect, tnumOr, tnumOverlap, tnumSubreg, tnumWithSubreg, U64 } from './tnum.ts'

/** A condition, or the failure of `set`, which no single opcode says. */
export type Condition = CondOp | 'clear'

const OPPOSITE: Readonly<Record<Condition, Condition>> = {
  eq: 'ne',
  ne: 'eq',
  gt: 'le',
  le: 'gt',
  ge: 'lt',
  lt: 'ge',
  sgt: 'sle',
  sle: 'sgt',
  sge: 'slt',
  slt: 'sge',
  set: 'clear',
  clear: 'set',
}
export const opposite = (op: Condition): Condition => OPPOSITE[op]

const FLIPPED: Readonly<Record<Condition, Condition>> = {
  eq: 'eq',
  ne: 'ne',
  gt: 'lt',
  lt: 'gt',
  ge: 'le',
  le: 'ge',
  sgt: 'slt',
  slt: 'sgt',
  sge: 'sle',
  sle: 'sge',
  set: 'set',
  clear: 'clear',
}
/** The same condition with its operands exchanged. */
export const flipped = (op: CondOp): CondOp => FLIPPED[op] as CondOp

/** Ends of the ranges that an unsigned or signed comparison of that width looks at. */
function ends(a: Scalar, width: Width, signed: boolean): [min: bigint | number, max: bigint | number] {
  if (width === 64) return signed ? [a.smin, a.smax] : [a.umin, a.umax]
  return signed ? [a.s32min, a.s32max] : [a.u32min, a.u32max]
}

function knownEqual(width: Width, a: Scalar, b: Scalar): boolean | undefined {
  const bitsA = width === 64 ? a.bits : tnumSubreg(a.bits)
  const bitsB = width === 64 ? b.bits : tnumSubreg(b.bits)
  if (bitsA.mask === 0n && bitsB.mask === 0n) return bitsA.value === bitsB.value
  if (!tnumOverlap(bitsA, bitsB)) return false
  const apart32 = a.u32min > b.u32max || a.u32max < b.u32min || a.s32min > b.s32max || a.s32max < b.s32min
  if (apart32) return false
  if (width === 64 && (a.umin > b.umax || a.umax < b.umin || a.smin > b.smax || a.smax < b.smin)) return false
  return undefined
}

function knownSet(width: Width, a: Scalar, b: Scalar): boolean | undefined {
  const [other, known] = isConstAt(b, width) ? [a, b] : [b, a]
  if (!isConstAt(known, width)) return undefined
  const test = valueAt(known, width)
  if (other.bits.value & test) return true
  if (((other.bits.value | other.bits.mask) & test) === 0n) return false
  return undefined
}

/** Whether the jump is always (true), never (false) or sometimes (undefined) taken. */
export function scalarBranch(op: CondOp, width: Width, a: Scalar, b: Scalar): boolean | undefined {
  if (op === 'eq') return knownEqual(width, a, b)
  if (op === 'ne') {
    const equal = knownEqual(width, a, b)
    return equal === undefined ? undefined : !equal
  }
  if (op === 'set') return knownSet(width, a, b)
  const signed = op.startsWith('s')
  const [minA, maxA] = ends(a, width, signed)
  const [minB, maxB] = ends(b, width, signed)
  switch (signed ? op.slice(1) : op) {
    case 'gt':
      return minA > maxB ? true : maxA <= minB ? false : undefined
    case 'ge':
      return minA >= maxB ? true : maxA < minB ? false : undefined
    case 'lt':
      return maxA < minB ? true : minA >= maxB ? false : undefined
    default:
      return maxA <= minB ? true : minA > maxB ? false : undefined
  }
}

const low = (n: bigint, m: bigint): bigint => (n > m ? n : m)
const high = (n: bigint, m: bigint): bigint => (n < m ? n : m)

function meet(width: Width, a: Draft, b: Draft): void {
  a.u32min = b.u32min = Math.max(a.u32min, b.u32min)
  a.u32max = b.u32max = Math.min(a.u32max, b.u32max)
  a.s32min = b.s32min = Math.max(a.s32min, b.s32min)
  a.s32max = b.s32max = Math.min(a.s32max, b.s32max)
  if (width === 32) {
    const half = tnumIntersect(tnumSubreg(a.bits), tnumSubreg(b.bits))
    a.bits = tnumWithSubreg(a.bits, half)
    b.bits = tnumWithSubreg(b.bits, half)
    return
  }
  a.umin = b.umin = low(a.umin, b.umin)
  a.umax = b.umax = high(a.umax, b.umax)
  a.smin = b.smin = low(a.smin, b.smin)
  a.smax = b.smax = high(a.smax, b.smax)
  a.bits = b.bits = tnumIntersect(a.bits, b.bits)
}

/** A number that it is not: of use only at an end of a range. */
function exclude(width: Width, a: Draft, value: bigint): void {
  if (width === 64) {
    const signed = BigInt.asIntN(64, value)
    if (a.umin === value) a.umin++
    if (a.umax === value) a.umax--
    if (a.smin === signed) a.smin++
    if (a.smax === signed) a.smax--
    return
  }
  const n = Number(value)
  if (a.u32min === n) a.u32min++
  if (a.u32max === n) a.u32max--
  if (a.s32min === (n | 0)) a.s32min++
  if (a.s32max === (n | 0)) a.s32max--
}

function refineBits(op: 'set' | 'clear', width: Width, a: Draft, value: bigint): void {
  // Of several bits it is not known which is set, but all are known to be clear.
  if (op === 'set' && (value === 0n || (value & (value - 1n)) !== 0n)) return
  const whole = op === 'set' ? tnumOr(a.bits, tnumConst(value)) : tnumAnd(a.bits, tnumConst(~value & U64))
  a.bits = width === 64 ? whole : tnumWithSubreg(a.bits, tnumSubreg(whole))
}

/** a < b or a <= b. */
function order(width: Width, signed: boolean, strict: boolean, a: Draft, b: Draft): void {
  if (width === 64) {
    const gap = strict ? 1n : 0n
    if (signed) {
      a.smax = high(a.smax, b.smax - gap)
      b.smin = low(a.smin + gap, b.smin)
    } else {
      a.umax = high(a.umax, b.umax - gap)
      b.umin = low(a.umin + gap, b.umin)
    }
    return
  }
  const gap = strict ? 1 : 0
  if (signed) {
    a.s32max = Math.min(a.s32max, b.s32max - gap)
    b.s32min = Math.max(a.s32min + gap, b.s32min)
  } else {
    a.u32max = Math.min(a.u32max, b.u32max - gap)
    b.u32min = Math.max(a.u32min + gap, b.u32min)
  }
}

function apply(op: Condition, width: Width, a: Draft, b: Draft): void {
  switch (op) {
    case 'eq':
      meet(width, a, b)
      return
    case 'ne':
    case 'set':
    case 'clear': {
      const [other, known] = isConstAt(b, width) ? [a, b] : [b, a]
      if (!isConstAt(known, width)) return
      const value = valueAt(known, width)
      if (op === 'ne') exclude(width, other, value)
      else refineBits(op, width, other, value)
      return
    }
    case 'lt':
    case 'le':
    case 'slt':
    case 'sle':
      order(width, op.startsWith('s'), op.endsWith('t'), a, b)
      return
    case 'gt':
    case 'ge':
    case 'sgt':
    case 'sge':
      order(width, op.startsWith('s'), op.endsWith('t'), b, a)
      return
  }
}

/** Both operands where `a op b` is known to hold. */
export function scalarRefine(op: Condition, width: Width, a: Scalar, b: Scalar): [a: Scalar, b: Scalar] {
  const da = draft(a)
  const db = draft(b)
  apply(op, width, da, db)
  return [sync(da), sync(db)]
}
