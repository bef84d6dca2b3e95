// The rows of the instruction table, family by family: every fact about an instruction (opcode, fields,
// syntax, conformance group, first kernel, meaning) is written once, here. Opcodes, fields and meanings are
// those of RFC 9669 (sections 3 to 5 and its opcode registry); what Linux has beyond it (may_goto,
// address-space casts, load-acquire and store-release, map and BTF immediates) follows
// include/uapi/linux/bpf.h and kernel/bpf/verifier.c, which also say which fields are reserved.
// Look rows up through table.ts.

import type { Insn, Size, Width } from './insn.ts'
import type { AtomicOp, BinOp, CallKind, CondOp, LddwKind, Machine } from './machine.ts'
import type { Field, Group, InsnRow } from './row.ts'

/** Where the second operand comes from: the imm field or the src register. */
type Source = 'imm' | 'reg'
type SizeLetter = 'b' | 'h' | 'w' | 'dw'
type FetchOp = 'add' | 'or' | 'and' | 'xor'
type Bits = 8 | 16 | 32 | 64

/** The name of every row. */
export type InsnName =
  | `${BinOp | 'mov'}${Width}_${Source}`
  | `neg${Width}`
  | `movsx${8 | 16}_${Width}`
  | 'movsx32_64'
  | `${'le' | 'be' | 'bswap'}${16 | 32 | 64}`
  | 'cast_to_kernel'
  | 'cast_to_arena'
  | `ldx${SizeLetter}`
  | `ldxs${'b' | 'h' | 'w'}`
  | `st${SizeLetter}`
  | `stx${SizeLetter}`
  | `atomic_${FetchOp}${Width}`
  | `atomic_fetch_${FetchOp}${Width}`
  | `xchg${Width}`
  | `cmpxchg${Width}`
  | `load_acquire${Bits}`
  | `store_release${Bits}`
  | `${'ldabs' | 'ldind'}${'b' | 'h' | 'w'}`
  | 'lddw'
  | `lddw_${Exclude<LddwKind, 'imm'>}`
  | `j${CondOp}${Width}_${Source}`
  | 'ja'
  | 'ja32'
  | 'may_goto'
  | `call_${CallKind}`
  | 'callx'
  | 'exit'

export interface NamedRow extends InsnRow {
  readonly name: InsnName
}

type Mean = InsnRow['mean']
type Operand = <V>(m: Machine<V>, i: Insn) => V

/** Instruction classes: the low three bits of the opcode (RFC 9669 section 3.1). */
const CLASS = { ld: 0x00, ldx: 0x01, st: 0x02, stx: 0x03, alu32: 0x04, jmp64: 0x05, jmp32: 0x06, alu64: 0x07 } as const
/** The source bit of ALU and jump opcodes: 0 takes imm, 8 takes the src register (RFC 9669 section 4). */
const SOURCE: Readonly<Record<Source, number>> = { imm: 0x00, reg: 0x08 }
/** Mode bits of load and store opcodes (RFC 9669 section 5). */
const MODE = { imm: 0x00, abs: 0x20, ind: 0x40, mem: 0x60, memsx: 0x80, atomic: 0xc0 } as const

const WIDTHS: readonly Width[] = [32, 64]
const SOURCES: readonly Source[] = ['imm', 'reg']

/** Sizes of a memory access: size bits of the opcode, bytes, and the C type without its `u` or `s`. */
const SIZES = [
  { letter: 'b', bits: 8, bytes: 1, code: 0x10 },
  { letter: 'h', bits: 16, bytes: 2, code: 0x08 },
  { letter: 'w', bits: 32, bytes: 4, code: 0x00 },
  { letter: 'dw', bits: 64, bytes: 8, code: 0x18 },
] as const satisfies readonly { letter: SizeLetter; bits: Bits; bytes: Size; code: number }[]

const OPERAND: Readonly<Record<Source, Operand>> = {
  imm: (m, i) => m.imm(i.imm),
  reg: (m, i) => m.get(i.src),
}

const aluClass = (width: Width): number => (width === 32 ? CLASS.alu32 : CLASS.alu64)
const jmpClass = (width: Width): number => (width === 32 ? CLASS.jmp32 : CLASS.jmp64)
const baseGroup = (width: Width): Group => (width === 32 ? 'base32' : 'base64')
/** The kernel dialect writes a 32-bit operand as w1 and a 64-bit one as r1. */
const reg = (width: number, field: 'dst' | 'src'): string => `${width === 64 ? 'r' : 'w'}{${field}}`
/** The vector dialect marks 32-bit operations by a suffix. */
const suffix = (width: Width): string => (width === 32 ? '32' : '')

/** src, imm and both syntaxes of an instruction whose second operand is `source`. */
function second(source: Source, width: Width): { src: Field; imm: Field; text: string; vector: string } {
  return source === 'imm'
    ? { src: 0, imm: 'imm', text: '{imm}', vector: '{imm}' }
    : { src: 'reg', imm: 0, text: reg(width, 'src'), vector: '%r{src}' }
}

// Arithmetic (RFC 9669 section 4.1). The signed forms share the opcode and set off to 1.

const BINARY: Readonly<Record<BinOp, { code: number; off?: 1; text: string; divmul?: true; since?: string }>> = {
  add: { code: 0x00, text: '+=' },
  sub: { code: 0x10, text: '-=' },
  mul: { code: 0x20, text: '*=', divmul: true },
  div: { code: 0x30, text: '/=', divmul: true },
  sdiv: { code: 0x30, off: 1, text: 's/=', divmul: true, since: '6.6' },
  or: { code: 0x40, text: '|=' },
  and: { code: 0x50, text: '&=' },
  lsh: { code: 0x60, text: '<<=' },
  rsh: { code: 0x70, text: '>>=' },
  mod: { code: 0x90, text: '%=', divmul: true },
  smod: { code: 0x90, off: 1, text: 's%=', divmul: true, since: '6.6' },
  xor: { code: 0xa0, text: '^=' },
  arsh: { code: 0xc0, text: 's>>=' },
}
const NEG = 0x80
const MOV = 0xb0
const END = 0xd0

function binary(op: BinOp, width: Width, source: Source): NamedRow {
  const { code, off = 0, text, divmul, since = '3.18' } = BINARY[op]
  const b = second(source, width)
  const operand = OPERAND[source]
  return {
    name: `${op}${width}_${source}`,
    opcode: code | SOURCE[source] | aluClass(width),
    dst: 'reg',
    src: b.src,
    off,
    imm: b.imm,
    slots: 1,
    syntax: `${reg(width, 'dst')} ${text} ${b.text}`,
    vector: `${op}${suffix(width)} %r{dst}, ${b.vector}`,
    alsoVector: width === 64 ? [`${op}64 %r{dst}, ${b.vector}`] : [],
    group: divmul ? `divmul${width}` : baseGroup(width),
    since,
    mean: (m, i) => m.set(i.dst, m.bin(op, width, m.get(i.dst), operand(m, i))),
  }
}

function mov(width: Width, source: Source): NamedRow {
  const b = second(source, width)
  const operand = OPERAND[source]
  return {
    name: `mov${width}_${source}`,
    opcode: MOV | SOURCE[source] | aluClass(width),
    dst: 'reg',
    src: b.src,
    off: 0,
    imm: b.imm,
    slots: 1,
    syntax: `${reg(width, 'dst')} = ${b.text}`,
    vector: `mov${suffix(width)} %r{dst}, ${b.vector}`,
    alsoVector: width === 64 ? [`mov64 %r{dst}, ${b.vector}`] : [],
    group: baseGroup(width),
    since: '3.18',
    mean: (m, i) => m.set(i.dst, m.copy(width, operand(m, i))),
  }
}

function neg(width: Width): NamedRow {
  const dst = reg(width, 'dst')
  return {
    name: `neg${width}`,
    opcode: NEG | aluClass(width),
    dst: 'reg',
    src: 0,
    off: 0,
    imm: 0,
    slots: 1,
    syntax: `${dst} = -${dst}`,
    vector: `neg${suffix(width)} %r{dst}`,
    alsoVector: width === 64 ? ['neg64 %r{dst}'] : [],
    group: baseGroup(width),
    since: '3.18',
    mean: (m, i) => m.set(i.dst, m.neg(width, m.get(i.dst))),
  }
}

/** Sign-extending moves: off says from how many bits. */
const MOVSX = [
  ['movsx8_32', 8, 32],
  ['movsx16_32', 16, 32],
  ['movsx8_64', 8, 64],
  ['movsx16_64', 16, 64],
  ['movsx32_64', 32, 64],
] as const

function movsx([name, from, width]: (typeof MOVSX)[number]): NamedRow {
  return {
    name,
    opcode: MOV | SOURCE.reg | aluClass(width),
    dst: 'reg',
    src: 'reg',
    off: from,
    imm: 0,
    slots: 1,
    syntax: `${reg(width, 'dst')} = (s${from})${reg(width, 'src')}`,
    vector: `movsx${from}${width} %r{dst}, %r{src}`,
    group: baseGroup(width),
    since: '6.6',
    mean: (m, i) => m.set(i.dst, m.extend(true, from, width, m.get(i.src))),
  }
}

/** The three byte swaps of RFC 9669 section 4.2; imm says how many bits. */
const SWAPS = {
  le: { opcode: END | SOURCE.imm | CLASS.alu32, to: 'le', since: '3.18', also: undefined },
  be: { opcode: END | SOURCE.reg | CLASS.alu32, to: 'be', since: '3.18', also: undefined },
  bswap: { opcode: END | SOURCE.imm | CLASS.alu64, to: 'swap', since: '6.6', also: 'swap' },
} as const

function swap(name: keyof typeof SWAPS, bits: 16 | 32 | 64): NamedRow {
  const { opcode, to, since, also } = SWAPS[name]
  return {
    name: `${name}${bits}`,
    opcode,
    dst: 'reg',
    src: 0,
    off: 0,
    imm: bits,
    slots: 1,
    syntax: `r{dst} = ${name}${bits} r{dst}`,
    vector: `${name}${bits} %r{dst}`,
    alsoVector: also ? [`${also}${bits} %r{dst}`] : [],
    group: bits === 64 ? 'base64' : 'base32',
    since,
    mean: (m, i) => m.set(i.dst, m.swap(to, bits, m.get(i.dst))),
  }
}

/** A 64-bit mov with off 1 moves a pointer between address spaces: imm is `to << 16 | from`; 1 is the arena. */
function cast(name: 'cast_to_kernel' | 'cast_to_arena', to: 0 | 1, from: 0 | 1): NamedRow {
  return {
    name,
    opcode: MOV | SOURCE.reg | CLASS.alu64,
    dst: 'reg',
    src: 'reg',
    off: 1,
    imm: (to << 16) | from,
    slots: 1,
    syntax: `r{dst} = addr_space_cast(r{src}, ${to}, ${from})`,
    vector: `addr_space_cast %r{dst}, %r{src}, ${to}, ${from}`,
    group: 'linux',
    since: '6.9',
    mean: (m, i) => m.set(i.dst, m.cast(to, from, m.get(i.src))),
  }
}

// Loads and stores (RFC 9669 sections 5.1 and 5.2).

type SizeRow = (typeof SIZES)[number]

const memGroup = (size: SizeRow): Group => (size.bits === 64 ? 'base64' : 'base32')

function load(size: SizeRow): NamedRow {
  const { letter, bits, bytes, code } = size
  const from = `*(u${bits} *)(r{src} {off})`
  return {
    name: `ldx${letter}`,
    opcode: MODE.mem | code | CLASS.ldx,
    dst: 'reg',
    src: 'reg',
    off: 'off',
    imm: 0,
    slots: 1,
    syntax: `r{dst} = ${from}`,
    also: bits === 64 ? [] : [`w{dst} = ${from}`],
    vector: `ldx${letter} %r{dst}, [%r{src}{off}]`,
    group: memGroup(size),
    since: '3.18',
    mean: (m, i) => m.set(i.dst, m.load(bytes, false, m.get(i.src), i.off)),
  }
}

function loadSigned(size: Exclude<SizeRow, { letter: 'dw' }>): NamedRow {
  const { letter, bits, bytes, code } = size
  return {
    name: `ldxs${letter}`,
    opcode: MODE.memsx | code | CLASS.ldx,
    dst: 'reg',
    src: 'reg',
    off: 'off',
    imm: 0,
    slots: 1,
    syntax: `r{dst} = *(s${bits} *)(r{src} {off})`,
    vector: `ldxs${letter} %r{dst}, [%r{src}{off}]`,
    group: bits === 32 ? 'base64' : 'base32',
    since: '6.6',
    mean: (m, i) => m.set(i.dst, m.load(bytes, true, m.get(i.src), i.off)),
  }
}

function store(size: SizeRow, source: Source): NamedRow {
  const { letter, bits, bytes, code } = size
  const b = second(source, 64)
  const operand = OPERAND[source]
  const to = `*(u${bits} *)(r{dst} {off})`
  const mnemonic = source === 'imm' ? (`st${letter}` as const) : (`stx${letter}` as const)
  return {
    name: mnemonic,
    opcode: MODE.mem | code | (source === 'imm' ? CLASS.st : CLASS.stx),
    dst: 'reg',
    src: b.src,
    off: 'off',
    imm: b.imm,
    slots: 1,
    syntax: `${to} = ${b.text}`,
    also: source === 'reg' && bits !== 64 ? [`${to} = w{src}`] : [],
    vector: `${mnemonic} [%r{dst}{off}], ${b.vector}`,
    group: memGroup(size),
    since: '3.18',
    mean: (m, i) => m.store(bytes, m.get(i.dst), i.off, operand(m, i)),
  }
}

// Atomic operations (RFC 9669 section 5.3): imm says which; its lowest bit asks for the old value.

const FETCH = 0x01
const ATOMIC: Readonly<Record<FetchOp, { imm: number; text: string }>> = {
  add: { imm: 0x00, text: '+=' },
  or: { imm: 0x40, text: '|=' },
  and: { imm: 0x50, text: '&=' },
  xor: { imm: 0xa0, text: '^=' },
}
const XCHG = 0xe0 | FETCH
const CMPXCHG = 0xf0 | FETCH
const LOAD_ACQUIRE = 0x100
const STORE_RELEASE = 0x110

const atomicOpcode = (width: Width): number => MODE.atomic | CLASS.stx | (width === 32 ? 0x00 : 0x18)
const atomicGroup = (width: Width): Group => (width === 32 ? 'atomic32' : 'atomic64')

/** What all atomic rows share: dst is the base address, src the operand. */
const atomicFields = { dst: 'reg', src: 'reg', off: 'off', slots: 1 } as const

function atomicMean(op: AtomicOp, width: Width, fetch: boolean): Mean {
  const size = width === 32 ? 4 : 8
  if (op === 'cmpxchg') {
    return (m, i) => m.set(0, m.atomic(op, size, m.get(i.dst), i.off, m.get(i.src), m.get(0), true))
  }
  if (fetch) return (m, i) => m.set(i.src, m.atomic(op, size, m.get(i.dst), i.off, m.get(i.src), undefined, true))
  return (m, i) => void m.atomic(op, size, m.get(i.dst), i.off, m.get(i.src), undefined, false)
}

function atomic(op: FetchOp, width: Width): NamedRow {
  const { imm, text } = ATOMIC[op]
  const at = `lock *(u${width} *)(r{dst} {off})`
  return {
    ...atomicFields,
    name: `atomic_${op}${width}`,
    opcode: atomicOpcode(width),
    imm,
    syntax: `${at} ${text} r{src}`,
    also: width === 32 ? [`${at} ${text} w{src}`] : [],
    vector: `lock ${op}${suffix(width)} [%r{dst}{off}], %r{src}`,
    group: atomicGroup(width),
    // Atomic add is as old as eBPF; the others came with the atomic instructions of 5.12.
    since: op === 'add' ? '3.18' : '5.12',
    mean: atomicMean(op, width, false),
  }
}

function atomicFetch(op: FetchOp, width: Width): NamedRow {
  const src = reg(width, 'src')
  const at = `(u${width} *)(r{dst} {off})`
  return {
    ...atomicFields,
    name: `atomic_fetch_${op}${width}`,
    opcode: atomicOpcode(width),
    imm: ATOMIC[op].imm | FETCH,
    syntax: `${src} = atomic_fetch_${op}(${at}, ${src})`,
    also:
      width === 64 ? [`r{src} = atomic64_fetch_${op}(${at}, r{src})`] : [`r{src} = atomic_fetch_${op}(${at}, r{src})`],
    vector: `lock fetch ${op}${suffix(width)} [%r{dst}{off}], %r{src}`,
    group: atomicGroup(width),
    since: '5.12',
    mean: atomicMean(op, width, true),
  }
}

function xchg(width: Width): NamedRow {
  const src = reg(width, 'src')
  const kernel = width === 64 ? 'atomic64_xchg' : 'atomic_xchg'
  return {
    ...atomicFields,
    name: `xchg${width}`,
    opcode: atomicOpcode(width),
    imm: XCHG,
    syntax: `${src} = ${width === 64 ? 'xchg_64' : 'xchg32_32'}(r{dst} {off}, ${src})`,
    also: [`r{src} = ${kernel}((u${width} *)(r{dst} {off}), r{src})`],
    vector: `lock xchg${suffix(width)} [%r{dst}{off}], %r{src}`,
    group: atomicGroup(width),
    since: '5.12',
    mean: atomicMean('xchg', width, true),
  }
}

function cmpxchg(width: Width): NamedRow {
  const r0 = width === 64 ? 'r0' : 'w0'
  const kernel = width === 64 ? 'atomic64_cmpxchg' : 'atomic_cmpxchg'
  return {
    ...atomicFields,
    name: `cmpxchg${width}`,
    opcode: atomicOpcode(width),
    imm: CMPXCHG,
    syntax: `${r0} = ${width === 64 ? 'cmpxchg_64' : 'cmpxchg32_32'}(r{dst} {off}, ${r0}, ${reg(width, 'src')})`,
    also: [`r0 = ${kernel}((u${width} *)(r{dst} {off}), r0, r{src})`],
    vector: `lock cmpxchg${suffix(width)} [%r{dst}{off}], %r{src}`,
    group: atomicGroup(width),
    since: '5.12',
    mean: atomicMean('cmpxchg', width, true),
  }
}

function loadAcquire({ bits, bytes, code }: SizeRow): NamedRow {
  const from = `load_acquire((u${bits} *)(r{src} {off}))`
  return {
    ...atomicFields,
    name: `load_acquire${bits}`,
    opcode: MODE.atomic | code | CLASS.stx,
    imm: LOAD_ACQUIRE,
    syntax: `r{dst} = ${from}`,
    also: bits === 64 ? [] : [`w{dst} = ${from}`],
    vector: `load_acquire${bits} %r{dst}, [%r{src}{off}]`,
    group: 'linux',
    since: '6.15',
    mean: (m, i) => m.set(i.dst, m.loadAcquire(bytes, m.get(i.src), i.off)),
  }
}

function storeRelease({ bits, bytes, code }: SizeRow): NamedRow {
  const to = `store_release((u${bits} *)(r{dst} {off})`
  return {
    ...atomicFields,
    name: `store_release${bits}`,
    opcode: MODE.atomic | code | CLASS.stx,
    imm: STORE_RELEASE,
    syntax: `${to}, r{src})`,
    also: bits === 64 ? [] : [`${to}, w{src})`],
    vector: `store_release${bits} [%r{dst}{off}], %r{src}`,
    group: 'linux',
    since: '6.15',
    mean: (m, i) => m.storeRelease(bytes, m.get(i.dst), i.off, m.get(i.src)),
  }
}

// Legacy packet access (RFC 9669 section 5.5): the result is in r0, in host byte order.

function packet(mode: 'abs' | 'ind', size: Exclude<SizeRow, { letter: 'dw' }>): NamedRow {
  const { letter, bits, bytes, code } = size
  const indirect = mode === 'ind'
  return {
    name: `ld${mode}${letter}`,
    opcode: MODE[mode] | code | CLASS.ld,
    dst: 0,
    src: indirect ? 'reg' : 0,
    off: 0,
    imm: 'imm',
    slots: 1,
    syntax: `r0 = *(u${bits} *)skb[${indirect ? 'r{src} + ' : ''}{imm}]`,
    also: indirect ? [`r0 = *(u${bits} *)skb[r{src}]`] : [],
    vector: `ld${mode}${letter} ${indirect ? '%r{src}, ' : ''}{imm}`,
    group: 'packet',
    since: '3.19',
    mean: (m, i) => m.set(0, m.loadPacket(bytes, indirect ? m.get(i.src) : undefined, i.imm)),
  }
}

// 64-bit immediates (RFC 9669 section 5.4): src says what the two imm fields stand for.

interface LddwRow {
  src: number
  next: Field
  since: string
  group?: Group
  text: string
  /** The same with a map's name in place of its number. */
  named?: string
}

const LDDW: Readonly<Record<LddwKind, LddwRow>> = {
  imm: { src: 0, next: 'imm', since: '3.18', text: '{imm64}' },
  map_fd: { src: 1, next: 0, since: '3.18', text: 'map[fd:{imm}]', named: 'map[{map}]' },
  map_value: {
    src: 2,
    next: 'imm',
    since: '5.2',
    text: 'map_value[fd:{imm}][{next}]',
    named: 'map_value[{map}][{next}]',
  },
  btf_id: { src: 3, next: 'imm', since: '5.10', text: 'btf[id:{imm}][{next}]' },
  func: { src: 4, next: 0, since: '5.13', text: 'subprog[{jump}]' },
  map_idx: { src: 5, next: 0, since: '5.14', text: 'map[idx:{imm}]' },
  map_idx_value: { src: 6, next: 'imm', since: '5.14', text: 'map_value[idx:{imm}][{next}]' },
}

function lddw(kind: LddwKind): NamedRow {
  const { src, next, since, text, named } = LDDW[kind]
  return {
    name: kind === 'imm' ? 'lddw' : `lddw_${kind}`,
    opcode: MODE.imm | CLASS.ld | 0x18,
    dst: 'reg',
    src,
    off: 0,
    imm: 'imm',
    next,
    slots: 2,
    syntax: `r{dst} = ${text} ll`,
    also: named ? [`r{dst} = ${named} ll`] : [],
    vector: `lddw %r{dst}, ${text}`,
    alsoVector: named ? [`lddw %r{dst}, ${named}`] : [],
    group: 'base64',
    since,
    mean: (m, i, second) => m.set(i.dst, m.lddw(kind, i.imm, second === undefined ? 0 : second.imm)),
  }
}

// Jumps (RFC 9669 section 4.3).

const CONDITIONS: Readonly<Record<CondOp, { code: number; text: string; since?: string }>> = {
  eq: { code: 0x10, text: '==' },
  gt: { code: 0x20, text: '>' },
  ge: { code: 0x30, text: '>=' },
  set: { code: 0x40, text: '&' },
  ne: { code: 0x50, text: '!=' },
  sgt: { code: 0x60, text: 's>' },
  sge: { code: 0x70, text: 's>=' },
  lt: { code: 0xa0, text: '<', since: '4.14' },
  le: { code: 0xb0, text: '<=', since: '4.14' },
  slt: { code: 0xc0, text: 's<', since: '4.14' },
  sle: { code: 0xd0, text: 's<=', since: '4.14' },
}
const JA = 0x00
const CALL = 0x80
const EXIT = 0x90
/** BPF_JCOND of the UAPI header; src 0 is may_goto, the only one there is. */
const JCOND = 0xe0

function conditional(op: CondOp, width: Width, source: Source): NamedRow {
  const { code, text, since = '3.18' } = CONDITIONS[op]
  const b = second(source, width)
  const operand = OPERAND[source]
  return {
    name: `j${op}${width}_${source}`,
    opcode: code | SOURCE[source] | jmpClass(width),
    dst: 'reg',
    src: b.src,
    off: 'off',
    imm: b.imm,
    slots: 1,
    syntax: `if ${reg(width, 'dst')} ${text} ${b.text} goto {jump}`,
    vector: `j${op}${suffix(width)} %r{dst}, ${b.vector}, {jump}`,
    group: baseGroup(width),
    since: width === 32 ? '5.1' : since,
    flow: 'branch',
    mean: (m, i) => m.branch(op, width, m.get(i.dst), operand(m, i), i.off),
  }
}

/** Calls: src says what imm is (RFC 9669 section 4.3.1). Only a kfunc call uses off, as an index into fd_array. */
const CALLS: Readonly<
  Record<
    CallKind,
    {
      src: number
      off: Field
      since: string
      group: Group
      syntax: string
      also: string[]
      vector: string
      alsoVector: string[]
    }
  >
> = {
  helper: {
    src: 0,
    off: 0,
    since: '3.18',
    group: 'base32',
    syntax: 'call {helper}',
    also: ['call helper {helper}'],
    vector: 'call {helper}',
    alsoVector: ['call helper {helper}'],
  },
  local: {
    src: 1,
    off: 0,
    since: '4.16',
    group: 'base32',
    syntax: 'call pc{jump}',
    also: ['call {jump}'],
    vector: 'call local {jump}',
    alsoVector: [],
  },
  kfunc: {
    src: 2,
    off: 'off',
    since: '5.13',
    group: 'base32',
    syntax: 'call kfunc {kfunc}{module}',
    also: [],
    vector: 'call runtime {kfunc}{module}',
    alsoVector: [],
  },
}

function call(kind: CallKind): NamedRow {
  return {
    name: `call_${kind}`,
    opcode: CALL | SOURCE.imm | CLASS.jmp64,
    dst: 0,
    imm: 'imm',
    slots: 1,
    flow: 'call',
    ...CALLS[kind],
    mean: (m, i) => m.call(kind, i.imm, i.off),
  }
}

const others: readonly NamedRow[] = [
  {
    name: 'ja',
    opcode: JA | SOURCE.imm | CLASS.jmp64,
    dst: 0,
    src: 0,
    off: 'off',
    imm: 0,
    slots: 1,
    syntax: 'goto {jump}',
    vector: 'ja {jump}',
    group: 'base32',
    since: '3.18',
    flow: 'jump',
    mean: (m, i) => m.jump(i.off),
  },
  {
    name: 'ja32',
    opcode: JA | SOURCE.imm | CLASS.jmp32,
    dst: 0,
    src: 0,
    off: 0,
    imm: 'imm',
    slots: 1,
    syntax: 'gotol {jump}',
    vector: 'ja32 {jump}',
    group: 'base32',
    since: '6.6',
    flow: 'jump',
    mean: (m, i) => m.jump(i.imm),
  },
  {
    name: 'may_goto',
    opcode: JCOND | SOURCE.imm | CLASS.jmp64,
    dst: 0,
    src: 0,
    off: 'off',
    imm: 0,
    slots: 1,
    syntax: 'may_goto {jump}',
    vector: 'may_goto {jump}',
    group: 'linux',
    since: '6.9',
    flow: 'may_goto',
    mean: (m, i) => m.mayGoto(i.off),
  },
  {
    name: 'callx',
    opcode: CALL | SOURCE.reg | CLASS.jmp64,
    dst: 'reg',
    src: 0,
    off: 0,
    imm: 0,
    slots: 1,
    syntax: 'callx r{dst}',
    vector: 'call %r{dst}',
    alsoVector: ['callx %r{dst}'],
    group: 'linux',
    since: 'none',
    flow: 'call',
    mean: (m, i) => m.callReg(i.dst),
  },
  {
    name: 'exit',
    opcode: EXIT | SOURCE.imm | CLASS.jmp64,
    dst: 0,
    src: 0,
    off: 0,
    imm: 0,
    slots: 1,
    syntax: 'exit',
    vector: 'exit',
    group: 'base32',
    since: '3.18',
    flow: 'exit',
    mean: (m) => m.exit(),
  },
]

const BINARY_OPS = Object.keys(BINARY) as BinOp[]
const CONDITION_OPS = Object.keys(CONDITIONS) as CondOp[]
const FETCH_OPS = Object.keys(ATOMIC) as FetchOp[]
const [B, H, W] = SIZES
const NARROW = [B, H, W] as const

export const ROWS: readonly NamedRow[] = [
  ...BINARY_OPS.flatMap((op) => WIDTHS.flatMap((width) => SOURCES.map((source) => binary(op, width, source)))),
  ...WIDTHS.flatMap((width) => SOURCES.map((source) => mov(width, source))),
  ...WIDTHS.map(neg),
  ...MOVSX.map(movsx),
  ...(['le', 'be', 'bswap'] as const).flatMap((name) => ([16, 32, 64] as const).map((bits) => swap(name, bits))),
  cast('cast_to_kernel', 0, 1),
  cast('cast_to_arena', 1, 0),
  ...SIZES.map(load),
  ...NARROW.map(loadSigned),
  ...SIZES.flatMap((size) => SOURCES.map((source) => store(size, source))),
  ...WIDTHS.flatMap((width) => [
    ...FETCH_OPS.map((op) => atomic(op, width)),
    ...FETCH_OPS.map((op) => atomicFetch(op, width)),
    xchg(width),
    cmpxchg(width),
  ]),
  ...SIZES.map(loadAcquire),
  ...SIZES.map(storeRelease),
  ...(['abs', 'ind'] as const).flatMap((mode) => NARROW.map((size) => packet(mode, size))),
  ...(Object.keys(LDDW) as LddwKind[]).map(lddw),
  ...CONDITION_OPS.flatMap((op) => WIDTHS.flatMap((width) => SOURCES.map((source) => conditional(op, width, source)))),
  ...(Object.keys(CALLS) as CallKind[]).map(call),
  ...others,
]
