// The one table of instructions, and how to find a row in it: by an instruction slot (decoding is matching
// the constant fields of a row), by name (the compiler emits by name), and why a slot matches none.
// The rows themselves are in rows.ts.

import { Diagnostic } from '../diag/diagnostic.ts'
import { type Insn, insn } from './insn.ts'
import type { Field } from './row.ts'
import { type InsnName, type NamedRow, ROWS } from './rows.ts'

export type { InsnName, NamedRow } from './rows.ts'

/** Every instruction that Waggle knows: RFC 9669 entire and what Linux added to it. */
export const INSNS: readonly NamedRow[] = ROWS

/** Registers are r0 to r10 (RFC 9669 section 2.1 and 3); 11 to 15 fit the field but do not exist. */
export const MAX_REG = 10

const byOpcode: readonly (readonly NamedRow[])[] = Array.from({ length: 256 }, (_, opcode) =>
  INSNS.filter((row) => row.opcode === opcode),
)
const byName: ReadonlyMap<string, NamedRow> = new Map(INSNS.map((row) => [row.name, row]))

/**
 * The row that `slot` is an instance of, or undefined if there is none (see `explain`). The second slot of
 * an lddw is no instruction and has no row.
 */
export function rowOf(slot: Insn): NamedRow | undefined {
  const candidates = byOpcode[slot.opcode]
  if (candidates === undefined) return undefined
  for (const row of candidates) {
    if (fits(row.imm, slot.imm) && fits(row.off, slot.off) && fits(row.src, slot.src) && fits(row.dst, slot.dst))
      return row
  }
  return undefined
}

/** Whether `value` is what `field` asks for. imm and off hold any value that fits the field. */
function fits(field: Field, value: number): boolean {
  if (typeof field === 'number') return value === field
  return field === 'reg' ? value >= 0 && value <= MAX_REG : true
}

/** The row of that name. Throws a RangeError if there is none, which the type rules out. */
export function rowNamed(name: InsnName): NamedRow {
  const row = byName.get(name)
  if (!row) throw new RangeError(`no instruction is named ${name}`)
  return row
}

/** Operands for `make`: those that the row has; constant fields are filled in. */
export interface Operands {
  readonly dst?: number
  readonly src?: number
  readonly off?: number
  readonly imm?: number
}

/**
 * The instruction `name` with these operands; an operand left out is 0. Throws a RangeError on an operand
 * that does not fit its field or that the row does not have. For lddw use `makeWide`.
 */
export function make(name: InsnName, operands: Operands = {}): Insn {
  const row = rowNamed(name)
  return insn(
    row.opcode,
    fill(name, 'dst', row.dst, operands.dst),
    fill(name, 'src', row.src, operands.src),
    fill(name, 'off', row.off, operands.off),
    fill(name, 'imm', row.imm, operands.imm),
  )
}

/** Both slots of an lddw: `imm` of the operands is the low half, `next` the high one. Throws as `make`. */
export function makeWide(name: InsnName, operands: Operands, next = 0): [Insn, Insn] {
  const row = rowNamed(name)
  if (row.slots !== 2) throw new RangeError(`${name} has one slot`)
  return [make(name, operands), insn(0, 0, 0, 0, fill(name, 'next', row.next ?? 0, next))]
}

/** Least and greatest value of a field that holds an operand. */
const RANGE = { reg: [0, MAX_REG], off: [-0x8000, 0x7fff], imm: [-0x8000_0000, 0x7fff_ffff] } as const

function fill(name: string, which: string, field: Field, value: number | undefined): number {
  if (typeof field === 'number') {
    if (value !== undefined && value !== field) throw new RangeError(`${which} of ${name} is ${field}, not ${value}`)
    return field
  }
  if (value === undefined) return 0
  const [least, most] = RANGE[field]
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${which} of ${name} cannot be ${value}: it is between ${least} and ${most}`)
  }
  return value
}

const FIELDS = ['dst', 'src', 'off', 'imm'] as const

const hex = (opcode: number): string => `0x${opcode.toString(16).padStart(2, '0')}`

/** Why `slot` (at index `at` of its program, where known) matches no row: what is wrong with which field. */
export function explain(slot: Insn, at?: number): Diagnostic {
  const where = at === undefined ? '' : `insn ${at}: `
  for (const which of ['dst', 'src'] as const) {
    if (slot[which] > MAX_REG) {
      return new Diagnostic({
        code: 'isa/bad-register',
        message: `${where}${which} register r${slot[which]} does not exist`,
        help: `registers are r0 to r${MAX_REG}`,
      })
    }
  }
  const candidates = byOpcode[slot.opcode] ?? []
  if (candidates.length === 0) {
    return new Diagnostic({
      code: 'isa/unknown-opcode',
      message: `${where}unknown opcode ${hex(slot.opcode)}`,
      help: 'this is no eBPF instruction: the bytes are damaged, are not a program, or are for a newer instruction set',
    })
  }
  const row = candidates.reduce((best, other) => (wrong(other, slot).length < wrong(best, slot).length ? other : best))
  const bad = wrong(row, slot)[0] ?? 'imm'
  const allowed = [...new Set(candidates.map((other) => other[bad]))].filter((field) => typeof field === 'number')
  return new Diagnostic({
    code: 'isa/reserved-field',
    message: `${where}${candidates.length === 1 ? row.name : `opcode ${hex(slot.opcode)}`} with ${bad} ${slot[bad]}: there is no such instruction`,
    help: `${bad} must be ${allowed.length > 1 ? `one of ${allowed.join(', ')}` : `${allowed[0]}`} here`,
  })
}

const wrong = (row: NamedRow, slot: Insn): (typeof FIELDS)[number][] =>
  FIELDS.filter((which) => !fits(row[which], slot[which]))
