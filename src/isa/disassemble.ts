// Instructions as text, printed from the syntax columns of the table, in the dialect of clang and the kernel
// or in that of the conformance vectors. Without names from outside, what is printed is read back by assemble.ts
// to the same bytes; names of maps and helpers are written so that it can read them too.

import type { Insn } from './insn.ts'
import type { CallKind } from './machine.ts'
import { type Dialect, type Operand, segments } from './syntax.ts'
import { explain, INSNS, type NamedRow, rowOf } from './table.ts'

export interface FormatOptions {
  /** `kernel` if absent. */
  readonly dialect?: Dialect
  /** The name of what is called: a helper id, a slot (local: the target in the program) or a kfunc's BTF id. */
  readonly callName?: (kind: CallKind, id: number) => string | undefined
  /** The name of the map that the lddw at `slot` refers to. */
  readonly mapName?: (slot: number) => string | undefined
}

export interface DisassembleOptions extends FormatOptions {
  /** Begin each line with the slot number, as bpftool and the kernel's log do. */
  readonly numbers?: boolean
  /** A line to put before the instruction at `slot`, as a comment: the source that it comes from. */
  readonly source?: (slot: number) => string | undefined
}

/**
 * The program as text, an instruction a line, without a line end after the last. Throws a Diagnostic on a slot
 * that is no instruction.
 */
export function disassemble(insns: readonly Insn[], options: DisassembleOptions = {}): string {
  const lines: string[] = []
  const digits = String(insns.length).length
  for (let slot = 0; slot < insns.length; ) {
    const row = rowOf(insns[slot])
    if (!row) throw explain(insns[slot], slot)
    const source = options.source?.(slot)
    if (source !== undefined) lines.push(`; ${source.replaceAll(/\s*[\r\n]\s*/g, ' ')}`)
    const text = print(row, { insn: insns[slot], next: insns[slot + 1], slot }, options)
    lines.push(options.numbers ? `${String(slot).padStart(digits)}: ${text}` : text)
    slot += row.slots
  }
  return lines.join('\n')
}

/**
 * One instruction as text; `next` is the slot after it, which only an lddw needs, `slot` its index, which only
 * names need. Throws a Diagnostic if it is no instruction.
 */
export function format(insn: Insn, next?: Insn, options: FormatOptions = {}, slot = 0): string {
  const row = rowOf(insn)
  if (!row) throw explain(insn, slot)
  return print(row, { insn, next, slot }, options)
}

/** The instruction that is being printed and where it stands. */
interface Place {
  readonly insn: Insn
  readonly next: Insn | undefined
  readonly slot: number
}

type Segments = readonly (string | Operand)[]

interface Printer {
  readonly plain: Readonly<Record<Dialect, Segments>>
  /** The spelling that has a map's name in it. */
  readonly named: Readonly<Record<Dialect, Segments | undefined>>
}

const withMap = (templates: readonly string[] | undefined): Segments | undefined => {
  const template = templates?.find((each) => each.includes('{map}'))
  return template === undefined ? undefined : segments(template)
}

const PRINTERS: ReadonlyMap<string, Printer> = new Map(
  INSNS.map((row) => [
    row.name,
    {
      plain: { kernel: segments(row.syntax), vector: segments(row.vector) },
      named: { kernel: withMap(row.also), vector: withMap(row.alsoVector) },
    },
  ]),
)

function print(row: NamedRow, place: Place, options: FormatOptions): string {
  const { dialect = 'kernel', mapName, callName } = options
  const { plain, named } = PRINTERS.get(row.name)!
  const map = named[dialect] && mapName?.(place.slot)
  const parts = map === undefined ? plain[dialect] : named[dialect]!
  let text = ''
  for (const part of parts) text += typeof part === 'string' ? part : operand(part, row, place, options, map)
  const target = row.name === 'call_local' && callName?.('local', place.slot + 1 + place.insn.imm)
  return target ? `${text} ; ${target}` : text
}

/** `+4`, `-8`. */
const signed = (value: number): string => (value < 0 ? `${value}` : `+${value}`)

function displacement(off: number, dialect: Dialect): string {
  if (dialect === 'kernel') return off < 0 ? `- ${-off}` : `+ ${off}`
  return off === 0 ? '' : signed(off)
}

function operand(part: Operand, row: NamedRow, place: Place, options: FormatOptions, map: string | undefined): string {
  const { insn, next } = place
  const called = (kind: CallKind): string => {
    const name = options.callName?.(kind, insn.imm)
    const id = insn.imm >>> 0
    return name === undefined ? `${id}` : `${name}#${id}`
  }
  switch (part.kind) {
    case 'dst':
    case 'src':
      return `${part.letter}${insn[part.kind]}`
    case 'imm':
      return `${insn.imm}`
    case 'off':
      return displacement(insn.off, options.dialect ?? 'kernel')
    case 'imm64':
      return `0x${((BigInt((next?.imm ?? 0) >>> 0) << 32n) | BigInt(insn.imm >>> 0)).toString(16)}`
    case 'next':
      return `${(next?.imm ?? 0) >>> 0}`
    case 'jump':
      return signed(row.off === 'off' ? insn.off : insn.imm)
    case 'helper':
      return called('helper')
    case 'kfunc':
      return called('kfunc')
    case 'module':
      return insn.off === 0 ? '' : ` module ${insn.off & 0xffff}`
    case 'map':
      return map ?? ''
  }
}
