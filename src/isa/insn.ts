// Insn: one 8-byte instruction slot, as the kernel's `struct bpf_insn` (include/uapi/linux/bpf.h) and
// RFC 9669 section 3 lay it out. A program is an array of slots: index, jump offset and line info all
// count in slots, so the 16-byte lddw stands as two, the second with opcode 0 and the high half in imm.

/** One instruction slot. `off` is a signed 16-bit and `imm` a signed 32-bit number. */
export interface Insn {
  readonly opcode: number
  readonly dst: number
  readonly src: number
  readonly off: number
  readonly imm: number
}

/** Operand width of an ALU or jump instruction, in bits. */
export type Width = 32 | 64
/** Size of a memory access, in bytes. */
export type Size = 1 | 2 | 4 | 8

export const insn = (opcode: number, dst = 0, src = 0, off = 0, imm = 0): Insn => ({
  opcode,
  dst,
  src,
  off,
  imm: imm | 0,
})
