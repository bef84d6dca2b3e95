// Arithmetic on pointers: which there may be, and the pointer that comes of it. Constants go to the fixed
// offset, anything else to the variable one. The rules are those of the kernel's adjust_ptr_min_max_vals.

import type { Width } from '../isa/insn.ts'
import type { BinOp } from '../isa/machine.ts'
import { describe, MAX_OFFSET, nullCheck } from './assert-memory.ts'
import type { Env } from './env.ts'
import { Refusal } from './refusal.ts'
import {
  ANY,
  addBounds,
  draft,
  isConst,
  S32_MAX,
  S32_MIN,
  type Scalar,
  scalarText,
  subBounds,
  sync,
  U32_MAX,
} from './scalar.ts'
import { anything, isPacket, markPrecise, type PointerValue, type ScalarValue, type Value } from './state.ts'
import { tnumAdd, tnumSub } from './tnum.ts'

const refuse = (message: string, help?: string): Refusal => new Refusal('pointer-arithmetic', message, help)

/** Throws unless the offset is small enough to be followed. */
function assertSaneOffset(n: Scalar, what: string): void {
  if (n.smin > -MAX_OFFSET && n.smin < MAX_OFFSET && (!isConst(n) || n.smax < MAX_OFFSET)) return
  throw refuse(
    `${what} is too large or has no bound: ${scalarText(n)}`,
    'compare it with a limit first, or mask it with `&`',
  )
}

function assertSanePointer(pointer: PointerValue): void {
  assertSaneOffset(pointer.n, 'the offset of this pointer')
  const off = BigInt(pointer.off)
  if (off >= MAX_OFFSET || off <= -MAX_OFFSET) throw refuse(`the offset ${off} of this pointer is too large`)
}

function assertMovable(pointer: PointerValue, offset: Scalar, op: BinOp): void {
  if (pointer.nullable) {
    if (pointer.kind === 'map_value' || pointer.kind === 'mem') throw nullCheck(pointer)
    throw refuse('this pointer may be null and is moved before that was checked')
  }
  if (pointer.kind !== 'map' && pointer.kind !== 'packet_end') return
  if (pointer.kind === 'map' && op === 'add' && isConst(offset) && offset.umax === 0n) return
  throw refuse(`${describe(pointer)} cannot be moved`)
}

const fitsS32 = (n: bigint): boolean => n >= BigInt(S32_MIN) && n <= BigInt(S32_MAX)

/** The variable offset `a op b`. Pointers carry no bounds of the low half on their own. */
function combine(op: 'add' | 'sub', a: Scalar, b: Scalar): Scalar {
  const d = draft(ANY)
  if (op === 'add') addBounds(d, a, b)
  else subBounds(d, a, b)
  d.bits = op === 'add' ? tnumAdd(a.bits, b.bits) : tnumSub(a.bits, b.bits)
  d.u32min = 0
  d.u32max = U32_MAX
  return sync(d)
}

/** A pointer moved by a number, in either order for `add`. */
function move(env: Env, op: 'add' | 'sub', pointer: PointerValue, by: Scalar): PointerValue {
  assertSaneOffset(by, 'the offset that is added')
  assertSanePointer(pointer)
  if (op === 'sub' && pointer.kind === 'stack') {
    throw refuse('something is subtracted from a pointer into the stack', 'add a negative constant instead')
  }
  const fixed = BigInt(pointer.off) + (op === 'add' ? by.smin : -by.smin)
  if (isConst(by) && fitsS32(fixed)) {
    const moved = { ...pointer, off: Number(fixed) }
    assertSanePointer(moved)
    return moved
  }
  const loses = op === 'add' || by.smin < 0n
  const moved: PointerValue = {
    ...pointer,
    n: combine(op, pointer.n, by),
    id: isPacket(pointer) ? ++env.ids : pointer.id,
    range: isPacket(pointer) && loses ? 0 : pointer.range,
  }
  assertSanePointer(moved)
  return moved
}

/** The result of an operation of which at least one side is a pointer. */
export function pointerBin(env: Env, op: BinOp, width: Width, a: Value, b: Value): Value {
  if (a.kind !== 'scalar' && b.kind !== 'scalar') {
    if (op === 'sub') return anything()
    throw refuse(`two pointers are combined: ${describe(a)} and ${describe(b)}`)
  }
  const [pointer, number] = a.kind === 'scalar' ? [b as PointerValue, a] : [a, b as ScalarValue]
  markPrecise(number)
  if (width === 32) {
    if (op === 'sub' && a.kind !== 'scalar') return anything()
    throw refuse(`only the low half of ${describe(pointer)} is used`, 'use 64-bit arithmetic for pointers')
  }
  assertMovable(pointer, number.n, op)
  if (op !== 'add' && op !== 'sub') throw refuse(`${describe(pointer)} is used in an operation that is not + or -`)
  if (op === 'sub' && a.kind === 'scalar') throw refuse(`${describe(pointer)} is subtracted from a number`)
  return move(env, op, pointer, number.n)
}
