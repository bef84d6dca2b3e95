// Assembly to instructions. Both dialects of the table are read, line by line, with labels (`name:`), comments
// (`;`, `#`, `//`), maps by name (`r1 = map[counts] ll`) and helpers by name. Most of what clang, the
// kernel and bpftool print can be pasted: slot numbers, raw bytes and `pc+2` are understood.

import { Diagnostic, type Location } from '../diag/diagnostic.ts'
import { nearest } from '../diag/nearest.ts'
import { type Match, type Mismatch, MNEMONICS, match, REGISTER } from './grammar.ts'
import type { Insn } from './insn.ts'
import { type OperandKind, type Token, tokenize } from './syntax.ts'
import { make, makeWide } from './table.ts'

export interface AssembleOptions {
  /** For messages; `asm` if absent. */
  readonly file?: string
  /** Helper ids by name; a `bpf_` before the name in the text is ignored if the map does not have it. */
  readonly helpers?: ReadonlyMap<string, number>
}

/** An lddw that names a map, to be filled in by whoever has the map. Of the shape of ObjectSpec's relocations. */
export type MapReference =
  | { readonly insn: number; readonly kind: 'map'; readonly map: string }
  | { readonly insn: number; readonly kind: 'map_value'; readonly map: string; readonly offset: number }

/** The line of text that the instruction at slot `insn` was read from. Of the shape of ObjectSpec's line info. */
export interface AsmLine {
  readonly insn: number
  readonly file: string
  readonly line: number
  readonly column: number
  readonly text: string
}

export interface Assembly {
  readonly insns: readonly Insn[]
  readonly relocations: readonly MapReference[]
  /** Slots by label. */
  readonly labels: ReadonlyMap<string, number>
  /** One for each instruction, in order. */
  readonly lines: readonly AsmLine[]
}

/** The instructions of a text that names no maps. Throws a Diagnostic as `assembleProgram` does. */
export function assemble(text: string, options: AssembleOptions = {}): Insn[] {
  const { insns, relocations, lines } = assembleProgram(text, options)
  if (relocations.length > 0) {
    const { insn, map } = relocations[0]
    const at = lines.find((line) => line.insn === insn)
    throw new Diagnostic({
      code: 'isa/map-by-name',
      message: `the map '${map}' is known by its name only`,
      ...(at && { at: { file: at.file, line: at.line, column: at.column, text: at.text } }),
      help: 'only an object has named maps: write the number instead, as in `r1 = map[fd:3] ll`',
    })
  }
  return [...insns]
}

/**
 * The instructions of a text, the maps it names, and where its labels are. Throws a Diagnostic with the place on
 * the first line that is no instruction, an operand that does not fit, a jump to an unknown label.
 */
export function assembleProgram(text: string, options: AssembleOptions = {}): Assembly {
  const program = new Program(options)
  text.split(/\r\n|\n|\r/).forEach((line, index) => {
    program.read(line, index + 1)
  })
  return program.finish()
}

/** An instruction as it was read, with the line it stands in. */
interface Statement {
  readonly match: Match
  readonly tokens: readonly Token[]
  readonly line: Line
  readonly slot: number
}

interface Line {
  readonly file: string
  readonly number: number
  readonly text: string
}

/** Slot number and opcode or bytes before an instruction, as bpftool, the kernel's log and llvm-objdump print them. */
const DUMP_PREFIX = /^\s*\d+:(?=\s|$)\s*(?:\([0-9a-f]{2}\)|(?:(?:[0-9a-f]{2} ){7}[0-9a-f]{2}(?=\s)){1,2})?/i
/** What llvm-objdump puts after a jump: the symbol that it goes to. */
const DUMP_SUFFIX = /\s<[\w.$+]+>\s*$/
const LABEL = /^[A-Za-z_.$][\w.$]*$/

class Program {
  readonly #file: string
  readonly #helpers: ReadonlyMap<string, number>
  readonly #statements: Statement[] = []
  readonly #labels = new Map<string, number>()
  #slots = 0

  constructor({ file = 'asm', helpers = new Map() }: AssembleOptions) {
    this.#file = file
    this.#helpers = helpers
  }

  read(text: string, number: number): void {
    const line: Line = { file: this.#file, number, text }
    const code = text.slice(0, DUMP_SUFFIX.exec(text)?.index)
    const tokens = tokenize(code, DUMP_PREFIX.exec(code)?.[0].length ?? 0)
    while (tokens[1]?.text === ':' && LABEL.test(tokens[0].text)) {
      this.#label(tokens[0], line)
      tokens.splice(0, 2)
    }
    if (tokens.length === 0) return
    const found = match(tokens, (name) => this.#helper(name) !== undefined)
    if (!('row' in found)) throw mismatch(found, tokens, line)
    this.#statements.push({ match: found, tokens, line, slot: this.#slots })
    this.#slots += found.row.slots
  }

  finish(): Assembly {
    const insns: Insn[] = []
    const relocations: MapReference[] = []
    for (const statement of this.#statements) {
      const { row } = statement.match
      const { next, map, ...operands } = this.#values(statement)
      if (row.slots === 2) insns.push(...makeWide(row.name, operands, next))
      else insns.push(make(row.name, operands))
      if (map !== undefined) relocations.push(reference(statement, map, next ?? 0))
    }
    const lines = this.#statements.map(({ slot, line, tokens }) => ({
      insn: slot,
      file: line.file,
      line: line.number,
      column: tokens[0].start + 1,
      text: line.text,
    }))
    return { insns, relocations, labels: this.#labels, lines }
  }

  #label(token: Token, line: Line): void {
    const name = token.text
    if (REGISTER.test(name)) {
      throw diagnose(line, token, {
        code: 'isa/bad-label',
        message: `a label cannot have the name of a register, ${name}`,
        help: 'give the label another name',
      })
    }
    if (this.#labels.has(name)) {
      throw diagnose(line, token, {
        code: 'isa/duplicate-label',
        message: `the label '${name}' stands twice`,
        help: 'a label marks one place: give the second another name',
      })
    }
    this.#labels.set(name, this.#slots)
  }

  #helper(name: string): number | undefined {
    return this.#helpers.get(name) ?? (name.startsWith('bpf_') ? this.#helpers.get(name.slice(4)) : undefined)
  }

  /** What the operands that were read put into the fields of the instruction. */
  #values(statement: Statement): Values {
    const values: Values = {}
    for (const capture of statement.match.captures) {
      const { kind } = capture.operand
      const read = { statement, tokens: statement.tokens.slice(capture.from, capture.to) }
      if (kind === 'jump') values[statement.match.row.off === 'off' ? 'off' : 'imm'] = this.#distance(read)
      else if (kind === 'helper') values.imm = this.#helper(read.tokens[0].text) ?? id(read)
      else FILL[kind](read, values)
    }
    return values
  }

  /** Slots from the one after the jump to its target. */
  #distance(read: Read): number {
    const { statement, tokens } = read
    const [token] = tokens
    const short = statement.match.row.off === 'off'
    const distance =
      LABEL.test(token.text) && tokens.length === 1 ? this.#target(read) - statement.slot - 1 : Number(numberOf(read))
    if (fits(BigInt(distance), short ? 16 : 32)) return distance
    throw diagnose(statement.line, token, {
      code: 'isa/jump-range',
      message: `the jump goes ${distance} slots, which does not fit in ${short ? 16 : 32} bits`,
      help: short
        ? 'only `gotol +N` (kernel 6.6) reaches further than 32767 slots; jump to one of those'
        : 'split the program',
    })
  }

  #target({ statement: { line, match: found }, tokens: [token] }: Read): number {
    const name = token.text
    const slot = this.#labels.get(name) ?? (name === 'exit' ? this.#firstExit() : undefined)
    if (slot !== undefined) return slot
    const called = found.row.flow === 'call'
    const near = nearest(name, called ? [...this.#labels.keys(), ...this.#helpers.keys()] : this.#labels.keys())
    throw diagnose(line, token, {
      code: 'isa/unknown-label',
      message: `there is no label${called ? ' or helper' : ''} '${name}'`,
      help:
        near.length > 0
          ? didYouMean(near)
          : `put \`${name}:\` before the instruction that is meant, or write a distance, as +2`,
    })
  }

  /** In the dialect of the vectors, `exit` without a label of that name is the first exit instruction. */
  #firstExit(): number | undefined {
    return this.#statements.find(({ match: { row } }) => row.name === 'exit')?.slot
  }
}

interface Values {
  dst?: number
  src?: number
  off?: number
  imm?: number
  next?: number
  map?: string
}

/** An operand that was read. */
interface Read {
  readonly statement: Statement
  readonly tokens: readonly Token[]
}

/** How each kind of operand fills its field; those that need the whole program are in `Program`. */
const FILL: Readonly<Record<Exclude<OperandKind, 'jump' | 'helper'>, (read: Read, values: Values) => void>> = {
  dst: (read, values) => {
    values.dst = Number(read.tokens[0].text.slice(1))
  },
  src: (read, values) => {
    values.src = Number(read.tokens[0].text.slice(1))
  },
  imm: (read, values) => {
    values.imm = immediate(read)
  },
  imm64: (read, values) => {
    const value = wideImmediate(read)
    values.imm = Number(BigInt.asIntN(32, value))
    values.next = Number(BigInt.asIntN(32, value >> 32n))
  },
  next: (read, values) => {
    values.next = unsigned(read, 32)
  },
  off: (read, values) => {
    values.off = read.tokens.length === 0 ? 0 : displacement(read)
  },
  kfunc: (read, values) => {
    values.imm = id(read)
  },
  module: (read, values) => {
    values.off = read.tokens.length === 0 ? 0 : unsigned(read, 16)
  },
  map: (read, values) => {
    values.map = read.tokens[0].text
  },
}

const fits = (value: bigint, bits: 16 | 32 | 64): boolean => BigInt.asIntN(bits, value) === value

/** The number in the tokens of an operand: digits with a sign before them, perhaps, and a word before that. */
function numberOf({ tokens }: Read): bigint {
  const digits = BigInt(tokens.at(-1)!.text)
  return tokens.at(-2)?.text === '-' ? -digits : digits
}

/**
 * A 32-bit immediate. Hexadecimal digits are a bit pattern, so 0xffffffff is -1. A decimal number is meant as such:
 * one that 32 signed bits do not hold is refused, but for the vectors, which take those for patterns too.
 */
function immediate(read: Read): number {
  const value = numberOf(read)
  const { match: found, line } = read.statement
  const pattern = found.dialect === 'vector' || /^0x/i.test(read.tokens.at(-1)!.text)
  if (fits(value, 32)) return Number(value)
  // 0xffffffff and, written at full length, 0xffffffffffffffff.
  const written = BigInt.asUintN(64, value) === value && (value >> 32n === 0n || fits(BigInt.asIntN(64, value), 32))
  if (pattern && written) return Number(BigInt.asIntN(32, value))
  const asPattern = value > 0n && value >> 32n === 0n ? `, or write the bit pattern 0x${value.toString(16)}` : ''
  throw diagnose(line, read.tokens, {
    code: 'isa/immediate-range',
    message: `${value} does not fit in the 32 bits of a signed immediate`,
    help: `load it into a register of its own first, as in \`r1 = ${value} ll\`${asPattern}`,
  })
}

function wideImmediate(read: Read): bigint {
  const value = numberOf(read)
  if (fits(value, 64) || BigInt.asUintN(64, value) === value) return value
  throw diagnose(read.statement.line, read.tokens, {
    code: 'isa/immediate-range',
    message: `${value} does not fit in 64 bits`,
    help: 'a register holds 64 bits',
  })
}

function displacement(read: Read): number {
  const value = numberOf(read)
  if (fits(value, 16)) return Number(value)
  throw diagnose(read.statement.line, read.tokens, {
    code: 'isa/offset-range',
    message: `${value} does not fit in the 16 bits of an offset`,
    help: 'an offset is between -32768 and 32767: add the rest to the register first',
  })
}

/** An unsigned number of so many bits, as the signed one that the field holds. */
function unsigned(read: Read, bits: 16 | 32, value = numberOf(read)): number {
  if (BigInt.asUintN(bits, value) === value) return Number(BigInt.asIntN(bits, value))
  throw diagnose(read.statement.line, read.tokens, {
    code: 'isa/immediate-range',
    message: `${value} does not fit in ${bits} bits`,
    help: `this is a number from 0 to ${2 ** bits - 1}`,
  })
}

/** `14` or `map_update_elem#14`. */
function id(read: Read): number {
  const { text } = read.tokens[0]
  return unsigned(read, 32, BigInt(text.slice(text.indexOf('#') + 1)))
}

function reference({ match: found, slot }: Statement, map: string, offset: number): MapReference {
  return found.row.name === 'lddw_map_value'
    ? { insn: slot, kind: 'map_value', map, offset: offset >>> 0 }
    : { insn: slot, kind: 'map', map }
}

// Errors.

/** A Diagnostic at one token, or at the tokens from the first to the last. */
function diagnose(
  line: Line,
  at: Token | readonly Token[],
  init: { code: string; message: string; help: string },
): Diagnostic {
  const tokens = 'text' in at ? [at] : at
  const [first] = tokens
  const last = tokens[tokens.length - 1]
  const location: Location = {
    file: line.file,
    line: line.number,
    column: first.start + 1,
    length: last.start + last.text.length - first.start,
    text: line.text,
  }
  return new Diagnostic({ ...init, at: location })
}

const didYouMean = (names: readonly string[]): string =>
  `did you mean ${names.map((name) => `\`${name}\``).join(' or ')}?`

/** How an operand is called in "expected …". */
const CALLED: Readonly<Record<OperandKind, string>> = {
  dst: 'a register',
  src: 'a register',
  imm: 'a number',
  imm64: 'a number',
  next: 'a number',
  off: 'an offset, as + 4',
  jump: 'a distance, as +2, or a label',
  helper: 'a helper',
  kfunc: 'the number of a kfunc',
  module: '`module` and a number',
  map: 'the name of a map',
}

/** The error for a line that is no instruction: what could not be read, and what could stand there. */
function mismatch({ at, words, operands }: Mismatch, tokens: readonly Token[], line: Line): Diagnostic {
  const token = tokens[at] ?? {
    text: '',
    start: tokens[tokens.length - 1].start + tokens[tokens.length - 1].text.length,
  }
  if (REGISTER.test(token.text) && Number(token.text.slice(1)) > 10) {
    return diagnose(line, token, {
      code: 'isa/bad-register',
      message: `there is no register ${token.text}`,
      help: 'registers are r0 to r10, and w0 to w10 for their low 32 bits',
    })
  }
  const help = mismatchHelp({ at, words, operands }, tokens, token.text)
  if (at === 0) {
    const message = `'${token.text}' begins no instruction`
    return diagnose(line, token, { code: 'isa/unknown-instruction', message, help })
  }
  const message = token.text === '' ? 'the instruction is not complete' : `'${token.text}' cannot stand here`
  return diagnose(line, token, { code: 'isa/syntax', message, help })
}

/** More choices than this are no help. */
const MANY = 12
/** To a shorter word everything is near. */
const SLIP = 3

function mismatchHelp({ at, words, operands }: Mismatch, tokens: readonly Token[], text: string): string {
  const known = at === 0 ? MNEMONICS : [...words].filter((word) => LABEL.test(word))
  const near = text.length < SLIP || REGISTER.test(text) ? [] : nearest(text, known)
  if (near.length > 0) return didYouMean(near)
  if (at === 0) {
    return 'an instruction is written as clang does (`r0 += r1`) or as the conformance vectors do (`add %r0, %r1`)'
  }
  const letters = new Set(operands.flatMap(({ letter }) => (letter === '' ? [] : [letter])))
  const [letter] = letters
  if (letters.size === 1 && REGISTER.test(text) && text[0] !== letter) {
    return `this is a ${letter === 'w' ? 32 : 64}-bit instruction: write ${letter}${text.slice(1)}`
  }
  if (REGISTER.test(text) && letters.has(text[0])) return 'the same register must stand in both places'
  const names = operands.map(({ kind }) =>
    letters.size === 1 && (kind === 'dst' || kind === 'src') ? `a register, as ${letter}1` : CALLED[kind],
  )
  const choices = [...new Set(names), ...[...words].map((word) => `\`${word}\``)]
  if (choices.length === 0) return `the instruction ends after '${tokens[at - 1].text}'`
  return choices.length > MANY ? `expected ${choices.slice(0, MANY).join(', ')} …` : `expected ${choices.join(' or ')}`
}
