// What every part of lowering shares: the builder, the report, control flow, cells, stack slots, and the
// integer arithmetic with its rules of width and sign (docs/language.md, "Integers").

import type { Size } from '../isa/insn.ts'
import type { BinOp, CondOp } from '../isa/machine.ts'
import type { HelperName } from '../spec/helper.ts'
import type { Platform } from '../spec/platform.ts'
import { type Block, Builder, type Node, type Slot, type Variable } from './ir.ts'
import { I32, I64, type IntType, int, type KType, sizeOf, typeName, U32, U64 } from './ktype.ts'
import { type Cell, describe, type IntOperand, type Operand } from './operand.ts'
import type { Report } from './report.ts'
import { constantBinary, literalType } from './scope.ts'
import type { BinaryOp, Span } from './syntax.ts'

/** The largest stack of a program, in bytes (MAX_BPF_STACK in include/linux/filter.h). */
export const STACK_LIMIT = 512

export class Flow {
  readonly builder: Builder
  readonly report: Report
  readonly platform: Platform
  /** Where the code being lowered stands in the source. */
  at = 0
  private live: Slot[] = []
  private top = 0
  /** The slots that were alive when the stack was deepest. */
  deepest: { readonly size: number; readonly slots: readonly Slot[] } = { size: 0, slots: [] }

  constructor(name: string, report: Report, platform: Platform) {
    this.builder = new Builder(name)
    this.report = report
    this.platform = platform
  }

  // ── nodes ──

  emit(operation: Parameters<Builder['emit']>[0], ...args: Node[]): Node {
    return this.builder.emit(operation, args, this.at)
  }
  const(value: bigint | number): Node {
    return this.emit({ op: 'const', value: BigInt.asIntN(64, BigInt(value)) })
  }
  bin(bin: BinOp, a: Node, b: Node, width: 32 | 64 = 64): Node {
    return this.emit({ op: 'bin', bin, width }, a, b)
  }
  /** `base` moved by a constant. */
  plus(base: Node, offset: number): Node {
    return offset === 0 ? base : this.bin('add', base, this.const(offset))
  }
  load(size: Size, base: Node, offset: number, pure = false): Node {
    return this.emit({ op: 'load', size, offset, pure }, base)
  }
  store(size: Size, base: Node, offset: number, value: Node): void {
    this.emit({ op: 'store', size, offset }, base, value)
  }
  get(variable: Variable): Node {
    return this.emit({ op: 'get', variable })
  }
  set(variable: Variable, value: Node): void {
    this.emit({ op: 'set', variable }, value)
  }
  /** Calls a helper by its row; a helper that this program type lacks is refused by the verifier. */
  call(helper: HelperName, ...args: Node[]): Node {
    const row = this.platform.helpers.get(helper)
    if (!row) {
      const here: Span = { at: this.at, end: this.at + 1 }
      throw this.report.error(here, 'helper', `${this.platform.description} has no helper bpf_${helper}`)
    }
    return this.emit({ op: 'call', helper, id: row.id }, ...args)
  }

  // ── control ──

  newBlock(): Block {
    return this.builder.newBlock()
  }
  enter(block: Block): void {
    this.builder.enter(block)
  }
  jump(to: Block): void {
    this.builder.end({ op: 'jump', to, at: this.at })
  }
  branch(cond: CondOp, a: Node, b: Node, yes: Block, no: Block): void {
    this.builder.end({ op: 'branch', cond, a, b, yes, no, at: this.at })
  }
  get open(): boolean {
    return this.builder.block.end === undefined
  }

  // ── stack ──

  /** A place on the stack, until the mark that was taken before is released. */
  slot(name: string, size: number): Node {
    const slot: Slot = { name, size: Math.ceil(size / 8) * 8, top: this.top + Math.ceil(size / 8) * 8 }
    this.top = slot.top
    this.live.push(slot)
    if (this.top > this.deepest.size) this.deepest = { size: this.top, slots: [...this.live] }
    return this.emit({ op: 'slot', slot })
  }
  mark(): number {
    return this.live.length
  }
  release(mark: number): void {
    this.live.length = mark
    this.top = this.live[mark - 1]?.top ?? 0
  }

  // ── cells ──

  /** Variables of the shape of `operand`, named for people who read the IR. */
  cell(like: Operand, name: string, span: Span): Cell {
    const variable = this.builder.variable(name)
    switch (like.kind) {
      case 'int':
        return { kind: 'int', type: like.type, weak: like.weak, variable }
      case 'bool':
        return { kind: 'bool', variable }
      case 'ref':
        return { kind: 'ref', type: like.type, space: like.space, variable }
      case 'view':
        return { kind: 'view', view: like.view, variable }
      case 'option':
        return { kind: 'option', present: variable, of: this.cell(this.read(like.of), name, span) }
      default:
        throw this.report.error(
          span,
          'unsupported',
          `${describe(like)} cannot be kept in a variable that changes`,
          'use a const, or write it where it is needed',
        )
    }
  }

  write(cell: Cell, operand: Operand, span: Span): void {
    if (cell.kind === 'option') {
      if (operand.kind === 'undefined') {
        this.set(cell.present, this.const(0))
        this.clear(cell.of)
      } else if (operand.kind === 'option') {
        this.set(cell.present, this.get(operand.present))
        this.write(cell.of, this.read(operand.of), span)
      } else {
        this.set(cell.present, this.const(1))
        this.write(cell.of, operand, span)
      }
      return
    }
    const value = operand.kind === 'option' ? this.read(operand.of) : operand
    if (cell.kind === 'int') this.set(cell.variable, this.convert(this.toInt(value, span), cell.type).node)
    else if (cell.kind === 'bool' && value.kind === 'bool') this.set(cell.variable, value.node)
    else if (cell.kind === 'ref' && value.kind === 'ref') this.set(cell.variable, this.plus(value.base, value.offset))
    else if (cell.kind === 'view' && value.kind === 'view' && value.view === cell.view)
      this.set(cell.variable, value.base)
    else throw this.report.error(span, 'type', `${describe(value)} does not fit here`)
  }

  private clear(cell: Cell): void {
    if (cell.kind === 'option') {
      this.set(cell.present, this.const(0))
      this.clear(cell.of)
    } else this.set(cell.variable, this.const(0))
  }

  read(cell: Cell): Operand {
    switch (cell.kind) {
      case 'option':
        return cell
      case 'int':
        return { kind: 'int', type: cell.type, weak: cell.weak, node: this.get(cell.variable) }
      case 'bool':
        return { kind: 'bool', node: this.get(cell.variable) }
      case 'ref':
        return { kind: 'ref', type: cell.type, space: cell.space, base: this.get(cell.variable), offset: 0 }
      case 'view':
        return { kind: 'view', view: cell.view, base: this.get(cell.variable) }
    }
  }

  /** An operand that several ends of control flow agree on; each end is a block that still lacks its jump. */
  merge(
    ends: readonly { block: Block; operand: Operand; span: Span }[],
    after: Block,
    span: Span,
    type?: KType,
  ): Operand {
    const there = ends.filter(({ operand }) => operand.kind !== 'undefined' && operand.kind !== 'void')
    const missing = there.length < ends.length || there.some(({ operand }) => operand.kind === 'option')
    let cell: Cell | undefined
    if (there.length > 0) {
      this.builder.block = there[0].block
      const [first, ...rest] = there.map(({ operand }) => (operand.kind === 'option' ? this.read(operand.of) : operand))
      const wanted = type?.kind === 'int' ? type : undefined
      let like = first
      for (const other of rest) {
        if (like.kind !== 'int' || other.kind !== 'int') continue
        like = { kind: 'int', type: this.common(like, other), weak: like.weak && other.weak, node: like.node }
      }
      const shaped = like.kind === 'int' && wanted ? { ...like, type: wanted, weak: false } : like
      cell = this.cell(shaped, 'merged', span)
      if (missing) cell = { kind: 'option', present: this.builder.variable('present'), of: cell }
    }
    for (const end of ends) {
      this.builder.block = end.block
      if (cell) this.write(cell, end.operand.kind === 'void' ? { kind: 'undefined' } : end.operand, end.span)
      this.jump(after)
    }
    this.enter(after)
    return cell ? this.read(cell) : { kind: 'void' }
  }

  // ── integers ──

  literal(value: bigint): IntOperand {
    return { kind: 'int', type: literalType(value), node: this.const(value), weak: true }
  }
  int(node: Node, type: IntType): IntOperand {
    return { kind: 'int', type, node, weak: false }
  }

  toInt(operand: Operand, span: Span): IntOperand {
    if (operand.kind === 'int') return operand
    if (operand.kind === 'bool') return this.int(operand.node, U32)
    if (operand.kind === 'option') return this.toInt(this.read(operand.of), span)
    throw this.report.error(span, 'type', `${describe(operand)} is not a number`)
  }

  /** The value of a literal, or of what folded to one. */
  constantOf(operand: IntOperand): bigint | undefined {
    const { operation } = operand.node
    if (operation.op !== 'const') return undefined
    return operand.type.signed ? operation.value : BigInt.asUintN(64, operation.value)
  }

  fits(operand: IntOperand, type: IntType): boolean {
    const value = this.constantOf(operand)
    if (value !== undefined) {
      const wrapped = type.signed ? BigInt.asIntN(type.bits, value) : BigInt.asUintN(type.bits, value)
      return wrapped === value
    }
    const from = operand.type
    if (from.signed === type.signed) return from.bits <= type.bits
    return !from.signed && from.bits < type.bits
  }

  /** The low bits of a value, as C converts integers. */
  convert(operand: IntOperand, type: IntType): IntOperand {
    const value = this.constantOf(operand)
    if (value !== undefined) {
      const wrapped = type.signed ? BigInt.asIntN(type.bits, value) : BigInt.asUintN(type.bits, value)
      return this.int(this.const(wrapped), type)
    }
    if (type.bits === 64 || this.fits(operand, type)) return this.int(operand.node, type)
    return this.int(this.emit({ op: 'extend', from: type.bits, signed: type.signed }, operand.node), type)
  }

  /** The type in which two integers meet. */
  common(a: IntOperand, b: IntOperand): IntType {
    if (a.weak && b.weak) return a.type.signed && b.type.signed ? I64 : U64
    if (a.weak !== b.weak) {
      const [weak, strong] = a.weak ? [a, b] : [b, a]
      const literal = this.constantOf(weak)
      if (literal !== undefined && this.fits(weak, strong.type)) return strong.type
      if (strong.type.bits === 64) return !strong.type.signed || weak.type.signed ? strong.type : U64
      return weak.type
    }
    if (a.type.signed === b.type.signed) return int(Math.max(a.type.bits, b.type.bits) as 8, a.type.signed)
    const [plain, signed] = a.type.signed ? [b.type, a.type] : [a.type, b.type]
    if (plain.bits === 64) return U64
    // The signed one if it can hold every value of the other, as in C; in doubt, 64 bits.
    return plain.bits < signed.bits ? signed : plain.bits < 32 ? I32 : I64
  }

  /** Whether one operand is unsigned with 64 bits and the other may be negative: then neither type holds both. */
  private clash(a: IntOperand, b: IntOperand): boolean {
    const wide = (x: IntOperand): boolean => !x.weak && x.type.bits === 64 && !x.type.signed
    const maybeNegative = (x: IntOperand): boolean => {
      const value = this.constantOf(x)
      return value === undefined ? x.type.signed : value < 0n
    }
    const tooLarge = (x: IntOperand): boolean => (this.constantOf(x) ?? 0n) > 0x7fff_ffff_ffff_ffffn
    return (
      (wide(a) && maybeNegative(b)) ||
      (wide(b) && maybeNegative(a)) ||
      (tooLarge(a) && b.type.signed && !b.weak) ||
      (tooLarge(b) && a.type.signed && !a.weak)
    )
  }

  arithmetic(op: BinaryOp, a: IntOperand, b: IntOperand, span: Span): IntOperand {
    if (op === '<<' || op === '>>' || op === '>>>') return this.shift(op, a, b)
    const left = this.constantOf(a)
    const right = this.constantOf(b)
    if (a.weak && b.weak && left !== undefined && right !== undefined) {
      const value = constantBinary(op, left, right)
      if (value !== undefined) return this.literal(value)
    }
    const divides = op === '/' || op === '%'
    if (divides && this.clash(a, b)) throw this.divisionError(a, b, span)
    const common = this.common(a, b)
    const weak = a.weak && b.weak
    const narrow = common.bits < 32 && !weak
    // Two values of at most 16 bits: 32 bits hold any sum, difference or product of them.
    const type = narrow ? (common.signed || op === '-' ? I32 : U32) : common
    const width = type.bits === 32 && !narrow ? 32 : 64
    const bin = BIN[op]
    if (!bin) throw new Error(`no arithmetic for ${op}`)
    const signedDivision = divides && type.signed
    if (signedDivision) return this.signedDivide(op === '/', a, b, type, weak)
    const node = this.bin(bin, a.node, b.node, width)
    if (type.signed && width === 32) {
      return { ...this.int(this.emit({ op: 'extend', from: 32, signed: true }, node), type), weak }
    }
    return { kind: 'int', type, node, weak }
  }

  private divisionError(a: IntOperand, b: IntOperand, span: Span): Error {
    const [x, y] = [a, b].map((operand) => (operand.weak ? 'a number that may be negative' : typeName(operand.type)))
    return this.report.error(
      span,
      'division',
      `a division that cannot be typed: ${x} by ${y}, one unsigned with 64 bits and the other signed`,
      'say which is meant: u64(x) / u64(y) divides unsigned, i64(x) / i64(y) signed',
    )
  }

  /**
   * Signed division, truncating. eBPF's own signed division came with Linux 6.6, so it is done on the
   * magnitudes, as older kernels need it: by zero it gives 0, and the remainder is then the dividend.
   */
  private signedDivide(quotient: boolean, a: IntOperand, b: IntOperand, type: IntType, weak: boolean): IntOperand {
    const value = this.constantOf(b)
    const magnitudeA = this.builder.variable('magnitude')
    const result = this.builder.variable('quotient')
    const zero = this.const(0)
    const absolute = (x: Node, into: Variable): void => {
      const [negative, after] = [this.newBlock(), this.newBlock()]
      this.set(into, x)
      this.branch('slt', x, this.const(0), negative, after)
      this.enter(negative)
      this.set(into, this.bin('sub', this.const(0), x))
      this.jump(after)
      this.enter(after)
    }
    absolute(a.node, magnitudeA)
    let divisor: Node
    if (value !== undefined) divisor = this.const(value < 0n ? -value : value)
    else {
      const magnitudeB = this.builder.variable('divisor')
      absolute(b.node, magnitudeB)
      divisor = this.get(magnitudeB)
    }
    const plain = this.bin(quotient ? 'div' : 'mod', this.get(magnitudeA), divisor)
    this.set(result, plain)
    const [negate, after] = [this.newBlock(), this.newBlock()]
    // The quotient is negative if the signs differ; the remainder has the dividend's sign.
    const sign = quotient ? this.bin('xor', a.node, b.node) : a.node
    this.branch('slt', sign, zero, negate, after)
    this.enter(negate)
    this.set(result, this.bin('sub', this.const(0), plain))
    this.jump(after)
    this.enter(after)
    const node = this.get(result)
    const exact = type.bits === 64 ? node : this.emit({ op: 'extend', from: 32, signed: true }, node)
    return { kind: 'int', type, node: exact, weak }
  }

  /** The count is taken modulo the width of what is shifted, 32 or 64 bits. */
  private shift(op: '<<' | '>>' | '>>>', a: IntOperand, b: IntOperand): IntOperand {
    const left = this.constantOf(a)
    const count = this.constantOf(b)
    if (a.weak && left !== undefined && count !== undefined) {
      return this.literal(constantBinary(op, left, count) ?? 0n)
    }
    const { bits, signed } = a.type
    if (op === '<<') {
      if (a.weak) return { kind: 'int', type: a.type, node: this.bin('lsh', a.node, b.node), weak: true }
      if (bits >= 32) return this.wrapped(this.bin('lsh', a.node, b.node, bits as 32 | 64), a.type)
      // Room for what is shifted out of a small type: as much as it needs.
      const wide = signed ? I64 : count !== undefined && count >= 0n && BigInt(bits) + count <= 32n ? U32 : U64
      return this.int(this.bin('lsh', a.node, b.node), wide)
    }
    const width = bits === 64 ? 64 : 32
    if (op === '>>' && signed)
      return { ...this.wrapped(this.bin('arsh', a.node, b.node, width), width === 64 ? a.type : I32), weak: a.weak }
    return this.int(this.bin('rsh', a.node, b.node, width), width === 64 ? U64 : signed ? U32 : a.type)
  }

  /** A 32-bit operation leaves the upper half zero: a signed result gets its sign back. */
  private wrapped(node: Node, type: IntType): IntOperand {
    if (type.bits !== 32 || !type.signed) return this.int(node, type)
    return this.int(this.emit({ op: 'extend', from: 32, signed: true }, node), type)
  }

  negate(a: IntOperand): IntOperand {
    const value = this.constantOf(a)
    if (a.weak && value !== undefined) return this.literal(-value)
    const zero = this.const(0)
    if (a.type.bits < 32) return this.int(this.bin('sub', zero, a.node), I32)
    const node = this.bin('sub', zero, a.node, a.type.bits as 32 | 64)
    return { ...this.wrapped(node, a.type), weak: a.weak }
  }

  invert(a: IntOperand): IntOperand {
    const value = this.constantOf(a)
    if (a.weak && value !== undefined) return this.literal(~value)
    if (a.type.bits < 32) return this.int(this.bin('xor', a.node, this.const(-1)), I32)
    const node = this.bin('xor', a.node, this.const(-1), a.type.bits as 32 | 64)
    return { ...this.wrapped(node, a.type), weak: a.weak }
  }

  /** Branches on a comparison of integers. */
  compare(op: BinaryOp, a: IntOperand, b: IntOperand, yes: Block, no: Block, span: Span): void {
    const equality = op === '===' || op === '!=='
    if (!equality && this.clash(a, b)) {
      const [x, y] = [a, b].map((operand) => (operand.weak ? 'a negative number' : typeName(operand.type)))
      throw this.report.error(
        span,
        'signs',
        `a comparison of ${x} with ${y}: one is unsigned with 64 bits, the other may be negative`,
        'convert one of them: u64(x) < u64(y) or i64(x) < i64(y)',
      )
    }
    const plain = (x: IntOperand): boolean => {
      const value = this.constantOf(x)
      return value === undefined ? !x.type.signed : value >= 0n
    }
    const strongWide = [a, b].some((x) => !x.weak && x.type.bits === 64 && !x.type.signed)
    const unsigned = (plain(a) && plain(b)) || strongWide
    const cond = (unsigned ? UNSIGNED : SIGNED)[op]
    if (!cond) throw new Error(`no comparison for ${op}`)
    this.branch(cond, a.node, b.node, yes, no)
  }

  /** An integer, boolean or enumeration in memory. */
  loadInt(type: IntType, base: Node, offset: number, pure = false): IntOperand {
    const node = this.load(sizeOf(type) as Size, base, offset, pure)
    if (!type.signed || type.bits === 64) return this.int(node, type)
    return this.int(this.emit({ op: 'extend', from: type.bits as 8 | 16 | 32, signed: true }, node), type)
  }
}

const BIN: Readonly<Partial<Record<BinaryOp, BinOp>>> = {
  '+': 'add',
  '-': 'sub',
  '*': 'mul',
  '/': 'div',
  '%': 'mod',
  '&': 'and',
  '|': 'or',
  '^': 'xor',
}
const UNSIGNED: Readonly<Partial<Record<BinaryOp, CondOp>>> = {
  '===': 'eq',
  '!==': 'ne',
  '<': 'lt',
  '<=': 'le',
  '>': 'gt',
  '>=': 'ge',
}
const SIGNED: Readonly<Partial<Record<BinaryOp, CondOp>>> = {
  '===': 'eq',
  '!==': 'ne',
  '<': 'slt',
  '<=': 'sle',
  '>': 'sgt',
  '>=': 'sge',
}
