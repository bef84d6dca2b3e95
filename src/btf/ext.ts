// Function and line records as BPF_PROG_LOAD takes them beside the instructions (struct bpf_func_info and
// bpf_line_info in include/uapi/linux/bpf.h), and as .BTF.ext holds them for each section. Their strings are
// in the BTF that the program is loaded with. Little endian.

import { Diagnostic } from '../diag/diagnostic.ts'
import type { BtfId } from './types.ts'
import type { BtfWriter } from './write.ts'

/** Bytes of struct bpf_func_info: what func_info_rec_size says. */
export const FUNC_INFO_SIZE = 8
/** Bytes of struct bpf_line_info: what line_info_rec_size says. */
export const LINE_INFO_SIZE = 16

/** Where a function begins. The kernel wants one for each function, the first at slot 0. */
export interface FuncRecord {
  /** In instruction slots from the start of the program. */
  readonly insn: number
  /** A `func` type. */
  readonly type: BtfId
}

/** Where a line of source begins. */
export interface LineRecord {
  readonly insn: number
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly column: number
  readonly text: string
}

/** `line_col` has 22 bits for the line and 10 for the column. */
const MOST_LINE = 2 ** 22 - 1
const MOST_COLUMN = 2 ** 10 - 1

/** The func_info array. */
export function encodeFuncInfo(records: readonly FuncRecord[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(records.length * FUNC_INFO_SIZE))
  for (const [i, { insn, type }] of records.entries()) {
    view.setUint32(i * FUNC_INFO_SIZE, insn, true)
    view.setUint32(i * FUNC_INFO_SIZE + 4, type, true)
  }
  return new Uint8Array(view.buffer)
}

/**
 * The line_info array; its strings are added to `btf`, so it must be made before `btf` is finished. The kernel wants
 * records in order of `insn`, no two of one slot, and one at the start of each function. A column that does not
 * fit is the greatest that does. Throws a Diagnostic where the order is not so.
 */
export function encodeLineInfo(btf: BtfWriter, records: readonly LineRecord[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(records.length * LINE_INFO_SIZE))
  let last = -1
  for (const [i, { insn, file, line, column, text }] of records.entries()) {
    if (insn <= last) {
      throw new Diagnostic({
        code: 'btf/line-order',
        message: `line info of slot ${insn} comes after that of slot ${last}`,
      })
    }
    last = insn
    // A NUL would end the string early; the kernel only prints it.
    const words = [
      insn,
      btf.string(file.replaceAll('\0', '')),
      btf.string(text.replaceAll('\0', ' ')),
      lineColumn(line, column),
    ]
    for (const [j, word] of words.entries()) view.setUint32(i * LINE_INFO_SIZE + j * 4, word, true)
  }
  return new Uint8Array(view.buffer)
}

const lineColumn = (line: number, column: number): number =>
  ((Math.min(line, MOST_LINE) << 10) | Math.min(column, MOST_COLUMN)) >>> 0
