// The shape of a row of the instruction table. A row names every field of the 8-byte slot: what it holds,
// or the constant that it must be. Decoding is matching, and a reserved field is simply the constant 0.

import type { Insn } from './insn.ts'
import type { Machine } from './machine.ts'

/** What a field holds: an operand, or the constant that this row asks for. */
export type Field = 'reg' | 'imm' | 'off' | number

/** Conformance groups of RFC 9669 section 2.4, and `linux` for what the kernel has beyond them. */
export type Group = 'base32' | 'base64' | 'divmul32' | 'divmul64' | 'atomic32' | 'atomic64' | 'packet' | 'linux'

export interface InsnRow {
  /** Unique, as `add64_imm`, `ldxw`, `jeq32_reg`. */
  readonly name: string
  readonly opcode: number
  readonly dst: Field
  readonly src: Field
  readonly off: Field
  readonly imm: Field
  /** What imm of the second slot holds (lddw only); everything else in that slot is 0. */
  readonly next?: Field
  /** 2 for lddw. */
  readonly slots: 1 | 2
  /**
   * Syntax in the dialect of clang and the kernel: `r{dst} += r{src}`, `w{dst} = {imm}`,
   * `r{dst} = *(u32 *)(r{src} {off})`, `if r{dst} s> {imm} goto {jump}`. What may stand in braces, and which
   * field it fills, is said in syntax.ts.
   */
  readonly syntax: string
  /** Further spellings of the same dialect that are read but not printed. */
  readonly also?: readonly string[]
  /** Syntax in the dialect of the conformance vectors: `add %r{dst}, %r{src}`. */
  readonly vector: string
  readonly alsoVector?: readonly string[]
  readonly group: Group
  /** The first kernel that accepts it, as `3.18`, `5.12`, `6.6`; `none` where no kernel does. */
  readonly since: string
  /** Ends a basic block, and how: falls through only where that says so. */
  readonly flow?: 'branch' | 'jump' | 'exit' | 'call' | 'may_goto'
  /** The meaning. `next` is the second slot of lddw. */
  readonly mean: <V>(m: Machine<V>, i: Insn, next: Insn | undefined) => void
}
