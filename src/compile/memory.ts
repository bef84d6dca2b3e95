// Operands into memory and out of it: fields of structs, elements of arrays, object literals written onto
// the stack or into a ring-buffer record, strings copied and compared. Padding is always zeroed, for a key
// that differs in it would be another key, and a record must not hand out old memory.

import type { Size } from '../isa/insn.ts'
import type { Flow } from './flow.ts'
import type { Block, Node } from './ir.ts'
import { alignOf, gaps, integerOf, type KType, sameLayout, sizeOf, typeName } from './ktype.ts'
import { describe, type Operand, type RefOperand } from './operand.ts'
import type { Span } from './syntax.ts'

/** The value of type `type` at a place: a load for numbers, a reference for what has parts. */
export function readPlace(
  flow: Flow,
  type: KType,
  base: Node,
  offset: number,
  space: RefOperand['space'],
  pure = false,
): Operand {
  const integer = integerOf(type)
  if (integer) return flow.loadInt(integer, base, offset, pure)
  if (type.kind === 'bool') return { kind: 'bool', node: flow.load(1, base, offset, pure) }
  return { kind: 'ref', type, base, offset, space }
}

/** Writes `operand` as a value of type `type`. */
export function writePlace(flow: Flow, type: KType, base: Node, offset: number, operand: Operand, span: Span): void {
  const value = operand.kind === 'option' ? flow.read(operand.of) : operand
  const integer = integerOf(type)
  if (integer) {
    flow.store(sizeOf(type) as Size, base, offset, flow.convert(flow.toInt(value, span), integer).node)
    return
  }
  if (type.kind === 'bool' && value.kind === 'bool') {
    flow.store(1, base, offset, value.node)
    return
  }
  if (type.kind === 'str' && value.kind === 'text') {
    writeText(flow, type.size, base, offset, value.value, span)
    return
  }
  if (type.kind === 'str' && value.kind === 'fill') {
    if (value.size === undefined || value.size > type.size) zero(flow, base, offset, type.size)
    if (value.size !== undefined && value.size < type.size)
      zero(flow, base, offset + value.size, type.size - value.size)
    value.write(base, offset, type.size)
    return
  }
  if (type.kind === 'struct' && value.kind === 'object') {
    for (const [at, length] of gaps(type)) zero(flow, base, offset + at, length)
    for (const field of type.fields) {
      const given = value.fields.get(field.name)
      if (given === undefined) {
        throw flow.report.error(span, 'missing-field', `${typeName(type)} needs a value for ${field.name}`)
      }
      writePlace(flow, field.type, base, offset + field.offset, given, span)
    }
    return
  }
  if (type.kind === 'array' && value.kind === 'list' && value.items.length === type.length) {
    const step = sizeOf(type.element)
    value.items.forEach((item, i) => {
      writePlace(flow, type.element, base, offset + i * step, item, span)
    })
    return
  }
  if (value.kind === 'ref' && sameLayout(type, value.type)) {
    copy(flow, sizeOf(type), Math.min(alignOf(type), alignOf(value.type)), base, offset, value)
    return
  }
  if (value.kind === 'ref' && value.type.kind === 'str' && type.kind === 'str' && value.type.size < type.size) {
    copy(flow, value.type.size, 1, base, offset, value)
    zero(flow, base, offset + value.type.size, type.size - value.type.size)
    return
  }
  throw flow.report.error(span, 'type', `${describe(value)} does not fit where a ${typeName(type)} is wanted`)
}

function writeText(flow: Flow, size: number, base: Node, offset: number, text: string, span: Span): void {
  const bytes = new TextEncoder().encode(text)
  if (bytes.length >= size) {
    throw flow.report.error(
      span,
      'too-long',
      `'${text}' has ${bytes.length} bytes and a terminating zero; str(${size}) has room for ${size}`,
      `declare it as str(${bytes.length + 1})`,
    )
  }
  for (const [at, length] of chunks(offset, size)) {
    flow.store(length, base, offset + at, flow.const(bytesAt(bytes, at, length)))
  }
}

/** `length` bytes from `at` as a little-endian number, with zeros behind the end. */
function bytesAt(bytes: Uint8Array, at: number, length: number): bigint {
  let value = 0n
  for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[at + i] ?? 0)
  return value
}

/** `size` bytes in the largest pieces whose place is aligned: [from the start, length]. */
function chunks(offset: number, size: number, align = 8): [at: number, length: Size][] {
  const found: [number, Size][] = []
  for (let at = 0; at < size; ) {
    const length = ([8, 4, 2, 1] as const).find((n) => n <= align && n <= size - at && (offset + at) % n === 0) ?? 1
    found.push([at, length])
    at += length
  }
  return found
}

export function zero(flow: Flow, base: Node, offset: number, size: number): void {
  for (const [at, length] of chunks(offset, size)) flow.store(length, base, offset + at, flow.const(0))
}

function copy(flow: Flow, size: number, align: number, base: Node, offset: number, from: RefOperand): void {
  // Strings of two places are aligned to a byte only if one of them is: whole words where both are.
  const together = (offset - from.offset) % 8 === 0 ? 8 : align
  for (const [at, length] of chunks(offset, size, Math.max(align, from.space === 'stack' ? together : align))) {
    flow.store(length, base, offset + at, flow.load(length, from.base, from.offset + at))
  }
}

/** A place that holds `operand` as `type`: its own if it lies on the stack, a new one otherwise. */
export function place(flow: Flow, type: KType, operand: Operand, name: string, span: Span): RefOperand {
  const value = operand.kind === 'option' ? flow.read(operand.of) : operand
  if (value.kind === 'ref' && value.space === 'stack' && sameLayout(type, value.type)) return value
  const base = flow.slot(name, sizeOf(type))
  writePlace(flow, type, base, 0, value, span)
  return { kind: 'ref', type, base, offset: 0, space: 'stack' }
}

/** The address of a place, for a helper. */
export const address = (flow: Flow, ref: RefOperand): Node => flow.plus(ref.base, ref.offset)

/** Branches on whether two strings or structs have the same contents. */
export function compareContents(flow: Flow, a: Operand, b: Operand, yes: Block, no: Block, span: Span): void {
  if (a.kind === 'text' && b.kind === 'text') {
    flow.jump(a.value === b.value ? yes : no)
    return
  }
  if (a.kind === 'text') {
    compareContents(flow, b, a, yes, no, span)
    return
  }
  const left = materialize(flow, a, b, span)
  if (b.kind === 'text') {
    compareText(flow, left, b.value, yes, no)
    return
  }
  const right = materialize(flow, b, a, span)
  if (!sameLayout(left.type, right.type)) {
    throw flow.report.error(
      span,
      'type',
      `a ${typeName(left.type)} and a ${typeName(right.type)} cannot be compared`,
      'give both the same size',
    )
  }
  const align = Math.min(alignOf(left.type), alignOf(right.type))
  for (const [at, length] of chunks(0, sizeOf(left.type), align)) {
    const next = flow.newBlock()
    const x = flow.load(length, left.base, left.offset + at)
    flow.branch('eq', x, flow.load(length, right.base, right.offset + at), next, no)
    flow.enter(next)
  }
  flow.jump(yes)
}

/** In memory, with room to tell a longer string from an equal one. */
function materialize(flow: Flow, operand: Operand, other: Operand, span: Span): RefOperand {
  const value = operand.kind === 'option' ? flow.read(operand.of) : operand
  if (value.kind === 'ref') return value
  if (value.kind !== 'fill') {
    throw flow.report.error(span, 'type', `${describe(value)} cannot be compared by its contents`, 'compare its fields')
  }
  const text = other.kind === 'text' ? new TextEncoder().encode(other.value).length + 2 : 0
  const wanted = other.kind === 'ref' ? sizeOf(other.type) : (value.size ?? Math.max(16, text))
  return place(flow, { kind: 'str', size: Math.max(wanted, value.size ?? 0) }, value, value.what, span)
}

function compareText(flow: Flow, ref: RefOperand, text: string, yes: Block, no: Block): void {
  const bytes = new TextEncoder().encode(text)
  if (bytes.length >= sizeOf(ref.type)) {
    flow.jump(no)
    return
  }
  const align = ref.space === 'stack' && ref.offset % 8 === 0 ? 8 : alignOf(ref.type)
  for (const [at, length] of chunks(0, bytes.length + 1, align)) {
    const next = flow.newBlock()
    flow.branch('eq', flow.load(length, ref.base, ref.offset + at), flow.const(bytesAt(bytes, at, length)), next, no)
    flow.enter(next)
  }
  flow.jump(yes)
}
