// What eBPF's arithmetic and conditions mean, on bigints: for constant folding and for tests. From RFC 9669
// sections 4.1 to 4.3: wrap-around, division by zero gives 0, modulo by zero the dividend, shifts are
// masked to the width.

import type { Width } from '../isa/insn.ts'
import type { BinOp, CondOp } from '../isa/machine.ts'

const signed = (width: number, value: bigint): bigint => BigInt.asIntN(width, value)
const unsigned = (width: number, value: bigint): bigint => BigInt.asUintN(width, value)

/** The result as a signed 64-bit number; a 32-bit operation zero-extends. */
export function binary(op: BinOp, width: Width, a: bigint, b: bigint): bigint {
  const ua = unsigned(width, a)
  const ub = unsigned(width, b)
  const result = unsigned(width, raw(op, width, ua, ub, signed(width, a), signed(width, b)))
  return signed(64, result)
}

function raw(op: BinOp, width: Width, ua: bigint, ub: bigint, sa: bigint, sb: bigint): bigint {
  const shift = ub & BigInt(width - 1)
  switch (op) {
    case 'add':
      return ua + ub
    case 'sub':
      return ua - ub
    case 'mul':
      return ua * ub
    case 'div':
      return ub === 0n ? 0n : ua / ub
    case 'sdiv':
      return sb === 0n ? 0n : sa / sb
    case 'mod':
      return ub === 0n ? ua : ua % ub
    case 'smod':
      return sb === 0n ? ua : sa % sb
    case 'or':
      return ua | ub
    case 'and':
      return ua & ub
    case 'xor':
      return ua ^ ub
    case 'lsh':
      return ua << shift
    case 'rsh':
      return ua >> shift
    case 'arsh':
      return sa >> shift
  }
}

/** Whether the 64-bit condition holds. */
export function condition(op: CondOp, a: bigint, b: bigint): boolean {
  const ua = unsigned(64, a)
  const ub = unsigned(64, b)
  const sa = signed(64, a)
  const sb = signed(64, b)
  switch (op) {
    case 'eq':
      return ua === ub
    case 'ne':
      return ua !== ub
    case 'gt':
      return ua > ub
    case 'ge':
      return ua >= ub
    case 'lt':
      return ua < ub
    case 'le':
      return ua <= ub
    case 'sgt':
      return sa > sb
    case 'sge':
      return sa >= sb
    case 'slt':
      return sa < sb
    case 'sle':
      return sa <= sb
    case 'set':
      return (ua & ub) !== 0n
  }
}

/** The low `from` bits of `value`, extended to 64 bits, as a signed number. */
export function extend(from: number, isSigned: boolean, value: bigint): bigint {
  return isSigned ? signed(from, value) : signed(64, unsigned(from, value))
}
