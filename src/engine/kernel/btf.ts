// An object's BTF for the kernel: its types, and for each program where its functions and source lines begin, so
// that tools print values by their types and the verifier's log quotes the user's source
// (Documentation/bpf/btf.rst, section 3: BPF_BTF_LOAD, BPF_MAP_CREATE and BPF_PROG_LOAD).

import { encodeFuncInfo, encodeLineInfo, FUNC_INFO_SIZE, LINE_INFO_SIZE } from '../../btf/ext.ts'
import type { BtfId, BtfType } from '../../btf/types.ts'
import { BtfWriter } from '../../btf/write.ts'
import type { FuncInfo, LineInfo, ObjectSpec, ProgramSpec } from '../../object/spec.ts'
import type { Bpf } from './bpf.ts'
import { errnoName } from './errors.ts'

/** Fields of BPF_PROG_LOAD's attribute. */
export interface ProgramBtf {
  readonly prog_btf_fd: number
  readonly func_info_rec_size: number
  readonly func_info: Uint8Array
  readonly func_info_cnt: number
  readonly line_info_rec_size?: number
  readonly line_info?: Uint8Array
  readonly line_info_cnt?: number
}

export interface ObjectBtf {
  /** Negative where the kernel has refused it. */
  readonly fd: number
  /** The refusal, as a sentence. */
  readonly refused?: string
  /** What goes with a program; nothing where the kernel has refused. */
  ofProgram(program: ProgramSpec): ProgramBtf | undefined
}

const LOG_SIZE = 1 << 16

/** Undefined for an object without programs and types. The caller closes the fd once maps and programs are loaded. */
export function loadBtf(bpf: Bpf, spec: ObjectSpec): ObjectBtf | undefined {
  if (spec.programs.length === 0 && spec.types.length === 0) return undefined
  const types = [...spec.types]
  const funcs = new Map(spec.programs.map((each) => [each, funcRecords(each, types)]))
  const writer = new BtfWriter(types)
  const lines = new Map(spec.programs.map((each) => [each, encodeLineInfo(writer, lineRecords(each))]))
  const bytes = writer.finish()
  const fd = bpf.btfLoad({ btf: bytes, btf_size: bytes.length })
  if (fd < 0) return { fd, refused: whyRefused(bpf, bytes, fd), ofProgram: () => undefined }
  return { fd, ofProgram: (program) => fields(fd, funcs.get(program) ?? [], lines.get(program)) }
}

function fields(fd: number, funcs: readonly FuncRecord[], lines: Uint8Array | undefined): ProgramBtf {
  const func = {
    prog_btf_fd: fd,
    func_info_rec_size: FUNC_INFO_SIZE,
    func_info: encodeFuncInfo(funcs),
    func_info_cnt: funcs.length,
  }
  if (!lines || lines.length === 0) return func
  return { ...func, line_info_rec_size: LINE_INFO_SIZE, line_info: lines, line_info_cnt: lines.length / LINE_INFO_SIZE }
}

interface FuncRecord {
  readonly insn: number
  readonly type: BtfId
}

/**
 * The kernel wants a function type for every function or for none: those that have none get one without parameters.
 * It gives an int, for a tail call may stand only in a function that does.
 */
function funcRecords(program: ProgramSpec, types: BtfType[]): FuncRecord[] {
  return program.functions.map((each) => ({ insn: each.insn, type: each.type || addFunction(each, types) }))
}

function addFunction({ insn, name }: FuncInfo, types: BtfType[]): BtfId {
  const identifier = name.replace(/[^A-Za-z0-9_]/g, '_').replace(/^(?=\d)/, '_')
  types.push({ kind: 'int', name: 'int', size: 4, encoding: 'signed', bits: 32, bitOffset: 0 })
  types.push({ kind: 'func_proto', ret: types.length, params: [] })
  types.push({ kind: 'func', name: identifier, type: types.length, linkage: insn === 0 ? 'global' : 'static' })
  return types.length
}

/** The kernel wants a line at the start of each function, and one line a slot: the last that is given for it. */
function lineRecords({ lines, functions }: ProgramSpec): LineInfo[] {
  if (lines.length === 0) return []
  const bySlot = new Map(lines.map((line) => [line.insn, line]))
  for (const { insn } of functions) {
    const before = lines.findLast((line) => line.insn <= insn) ?? lines[0]
    if (!bySlot.has(insn)) bySlot.set(insn, { ...before, insn })
  }
  return [...bySlot.values()].sort((a, b) => a.insn - b.insn)
}

function whyRefused(bpf: Bpf, bytes: Uint8Array, errno: number): string {
  const log = new Uint8Array(LOG_SIZE)
  const values = { btf: bytes, btf_size: bytes.length, btf_log_buf: log, btf_log_size: LOG_SIZE, btf_log_level: 1 }
  bpf.sys.close(bpf.btfLoad(values))
  const text = new TextDecoder().decode(log.subarray(0, log.indexOf(0)))
  const last = text.trim().split('\n').at(-1) || errnoName(errno)
  return `the kernel does not take the object's type information (${last}): its logs will not quote source lines`
}
