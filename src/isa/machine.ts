// The abstract machine over which src/isa/table.ts writes what each instruction means, once. The
// interpreter, the WebAssembly JIT and the verifier are three such machines: each says what a value V
// is (a bigint, a piece of code, a set of possible numbers) and what the operations do to it.

import type { Size, Width } from './insn.ts'

/** Two-operand arithmetic. Division by zero gives 0 and modulo by zero the dividend (RFC 9669 section 4.1). */
export type BinOp =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'sdiv'
  | 'mod'
  | 'smod'
  | 'or'
  | 'and'
  | 'xor'
  | 'lsh'
  | 'rsh'
  | 'arsh'

/** Conditions of a jump: `s` marks the signed ones, `set` is "a & b is not zero" (RFC 9669 section 4.3). */
export type CondOp = 'eq' | 'ne' | 'gt' | 'ge' | 'lt' | 'le' | 'sgt' | 'sge' | 'slt' | 'sle' | 'set'

/** Atomic read-modify-write operations; all but the first four always give the old value back. */
export type AtomicOp = 'add' | 'or' | 'and' | 'xor' | 'xchg' | 'cmpxchg'

/** What a 64-bit immediate stands for: the src field of lddw, 0 to 6 (RFC 9669 section 5.4). */
export type LddwKind = 'imm' | 'map_fd' | 'map_value' | 'btf_id' | 'func' | 'map_idx' | 'map_idx_value'

/** What a call goes to: the src field of call, 0 to 2; `reg` is the callx form. */
export type CallKind = 'helper' | 'local' | 'kfunc'

/**
 * A machine that gives instructions a meaning. Values are 64 bits wide. A 32-bit operation reads the low
 * half of its operands and gives a zero-extended result. Jump offsets are in slots, relative to the slot
 * after the instruction (for every row: the machine knows where it stands).
 */
export interface Machine<V> {
  get(reg: number): V
  set(reg: number, value: V): void
  /** The 32-bit immediate, sign-extended to 64 bits. */
  imm(value: number): V
  /** The value of an lddw whose two immediates are `lo` and `hi`. */
  lddw(kind: LddwKind, lo: number, hi: number): V

  bin(op: BinOp, width: Width, a: V, b: V): V
  neg(width: Width, a: V): V
  /** The low `from` bits of `a`, sign- or zero-extended to `width`, then zero-extended to 64. */
  extend(signed: boolean, from: 8 | 16 | 32, width: Width, a: V): V
  /** Byte order of the low `bits` bits: to little endian, to big endian, or swapped whatever the host is. */
  swap(to: 'le' | 'be' | 'swap', bits: 16 | 32 | 64, a: V): V
  /** mov: the same value at another width. Apart from `extend`, for a verifier must see a plain copy. */
  copy(width: Width, a: V): V
  /** addr_space_cast between arena (1) and kernel (0) address spaces. */
  cast(to: number, from: number, a: V): V

  load(size: Size, signed: boolean, base: V, off: number): V
  store(size: Size, base: V, off: number, value: V): void
  /** The old value, zero-extended. For cmpxchg `expected` is r0; `fetch` says whether the result is used. */
  atomic(op: AtomicOp, size: 4 | 8, base: V, off: number, operand: V, expected: V | undefined, fetch: boolean): V
  loadAcquire(size: Size, base: V, off: number): V
  storeRelease(size: Size, base: V, off: number, value: V): void
  /** Legacy packet load (RFC 9669 section 5.5): `index` is the register of the ind form. Ends the program on a short packet. */
  loadPacket(size: 1 | 2 | 4, index: V | undefined, imm: number): V

  /** `imm` tells whether b is an immediate: only then does the kernel allow some pointer comparisons. */
  branch(op: CondOp, width: Width, a: V, b: V, off: number): void
  jump(off: number): void
  /** may_goto: go `off` slots on when the loop budget is used up. */
  mayGoto(off: number): void
  /** r0 = target(r1, …, r5). `id` is a helper id, a slot offset (local) or a BTF id (kfunc, with `module` as fd index). */
  call(kind: CallKind, id: number, module: number): void
  /** callx: r0 = (*reg)(r1, …, r5). */
  callReg(reg: number): void
  exit(): void
}
