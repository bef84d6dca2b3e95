// Instructions as bytes: 8 a slot, as RFC 9669 section 3.1 lays them out. Little-endian programs (all that
// Waggle makes) have dst in the low half of the register byte; big-endian ones swap the halves as well.

import { Diagnostic } from '../diag/diagnostic.ts'
import { type Insn, insn } from './insn.ts'
import { explain, MAX_REG, rowOf } from './table.ts'

/** Bytes of one instruction slot. */
export const INSN_SIZE = 8

/** The little-endian bytes of a program, 8 a slot. */
export function encode(insns: readonly Insn[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(insns.length * INSN_SIZE)
  const view = new DataView(bytes.buffer)
  insns.forEach(({ opcode, dst, src, off, imm }, index) => {
    const at = index * INSN_SIZE
    view.setUint8(at, opcode)
    view.setUint8(at + 1, dst | (src << 4))
    view.setInt16(at + 2, off, true)
    view.setInt32(at + 4, imm, true)
  })
  return bytes
}

/**
 * The slots of a program. Throws a Diagnostic if the bytes are no whole number of slots or name a register
 * that does not exist; whether each slot is an instruction is for `validate` to say.
 */
export function decode(bytes: Uint8Array, { bigEndian = false }: { bigEndian?: boolean } = {}): Insn[] {
  if (bytes.length % INSN_SIZE !== 0) {
    throw new Diagnostic({
      code: 'isa/partial-insn',
      message: `a program of ${bytes.length} bytes ends in the middle of an instruction`,
      help: `an instruction is ${INSN_SIZE} bytes: the program was cut off, or these bytes are not a program`,
    })
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const insns: Insn[] = []
  for (let at = 0; at < bytes.length; at += INSN_SIZE) {
    const regs = view.getUint8(at + 1)
    const [dst, src] = bigEndian ? [regs >> 4, regs & 15] : [regs & 15, regs >> 4]
    const slot = insn(view.getUint8(at), dst, src, view.getInt16(at + 2, !bigEndian), view.getInt32(at + 4, !bigEndian))
    if (dst > MAX_REG || src > MAX_REG) throw explain(slot, insns.length)
    insns.push(slot)
  }
  return insns
}

/**
 * What is wrong with the structure of a program, or undefined if nothing: every slot is an instruction of the
 * table with its reserved fields 0, and each lddw has a proper second slot. Jump targets are the verifier's.
 */
export function validate(insns: readonly Insn[]): Diagnostic | undefined {
  for (let at = 0; at < insns.length; at++) {
    const row = rowOf(insns[at])
    if (!row) return explain(insns[at], at)
    if (row.slots === 1) continue
    at++
    if (at === insns.length) {
      return new Diagnostic({
        code: 'isa/lddw-cut-short',
        message: `insn ${at - 1}: the program ends between the two slots of ${row.name}`,
        help: 'a 64-bit immediate takes two slots: the second, with opcode 0, holds its high half',
      })
    }
    const { opcode, dst, src, off, imm } = insns[at]
    if (opcode !== 0 || dst !== 0 || src !== 0 || off !== 0 || (row.next !== 'imm' && imm !== row.next)) {
      return new Diagnostic({
        code: 'isa/lddw-second-slot',
        message: `insn ${at}: this is no second slot of ${row.name}`,
        help: `in the second slot of ${row.name} everything ${row.next === 'imm' ? 'but imm ' : ''}must be 0`,
      })
    }
  }
  return undefined
}
