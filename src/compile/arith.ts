// The arithmetic of src/isa/concrete.ts for constants of the IR, which are signed 64-bit numbers where that
// file has words from 0 to 2^64 - 1.

import { binOp, extend as extendWord, condition as holds, swap } from '../isa/concrete.ts'
import type { Width } from '../isa/insn.ts'
import type { BinOp, CondOp } from '../isa/machine.ts'

const word = (value: bigint): bigint => BigInt.asUintN(64, value)
const signed = (value: bigint): bigint => BigInt.asIntN(64, value)

/** The result as a signed 64-bit number; a 32-bit operation zero-extends. */
export function binary(op: BinOp, width: Width, a: bigint, b: bigint): bigint {
  return signed(binOp(op, width, word(a), word(b)))
}

/** Whether the 64-bit condition holds. */
export function condition(op: CondOp, a: bigint, b: bigint): boolean {
  return holds(op, 64, word(a), word(b))
}

/** The low `from` bits of `value`, extended to 64 bits, as a signed number. */
export function extend(from: 8 | 16 | 32, isSigned: boolean, value: bigint): bigint {
  return signed(extendWord(isSigned, from, 64, word(value)))
}

/** The low `bits` bits of `value` from network byte order, as a signed number. */
export function fromNetwork(bits: 16 | 32 | 64, value: bigint): bigint {
  return signed(swap('be', bits, word(value)))
}
