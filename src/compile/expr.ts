// Expressions become operands: the dispatch over their kinds, and assignment. Each layer of the class adds what
// builds on the ones before: names, access to fields and elements, calls, operators and conditions.

import type { Size } from '../isa/insn.ts'
import { integerOf, sizeOf } from './ktype.ts'
import { writePlace } from './memory.ts'
import type { IntOperand, Operand } from './operand.ts'
import { Operators } from './operator.ts'
import type { BinaryOp, Expr, Span } from './syntax.ts'

export abstract class ExprLowering extends Operators {
  /** An expression statement: its value is not wanted. */
  protected effect(expr: Expr): void {
    if (expr.kind === 'logical' && expr.op !== '??') {
      const [more, after] = [this.flow.newBlock(), this.flow.newBlock()]
      if (expr.op === '&&') this.condition(expr.left, more, after)
      else this.condition(expr.left, after, more)
      this.flow.enter(more)
      this.effect(expr.right)
      this.flow.jump(after)
      this.flow.enter(after)
      return
    }
    this.expr(expr)
  }

  protected expr(expr: Expr): Operand {
    const { flow, report } = this
    switch (expr.kind) {
      case 'number':
        if (BigInt.asUintN(64, expr.value) !== expr.value) {
          throw report.error(expr, 'literal', 'this number needs more than 64 bits', 'the widest type is u64')
        }
        return flow.literal(expr.value)
      case 'string':
        return { kind: 'text', value: expr.value }
      case 'boolean':
        return { kind: 'bool', node: flow.const(expr.value ? 1 : 0) }
      case 'undefined':
        return { kind: 'undefined' }
      case 'name':
        return this.name(expr.name, expr)
      case 'member':
        return this.member(expr)
      case 'index':
        return this.index(expr)
      case 'call':
        return this.call(expr)
      case 'unary':
        return this.unary(expr)
      case 'update':
        return this.update(expr)
      case 'binary':
        return this.binary(expr)
      case 'logical':
        return expr.op === '??' ? this.coalesce(expr) : this.logical(expr)
      case 'assign':
        return this.assign(expr)
      case 'conditional':
        return this.conditional(expr)
      case 'object': {
        const fields = new Map<string, Operand>()
        for (const { name, value } of expr.properties) fields.set(name, this.settled(this.expr(value)))
        return { kind: 'object', fields }
      }
      case 'array':
        return { kind: 'list', items: expr.elements.map((element) => this.settled(this.expr(element))) }
      case 'nonnull':
        return this.nonNull(expr.operand)
      case 'function':
        throw report.error(
          expr,
          'unsupported',
          'a function cannot be a value in kernel code',
          'move it to the top level of the file and call it by name',
        )
      case 'unsupported':
        throw report.unsupported(expr, expr)
    }
  }

  // ── assignment ──

  protected assign(expr: Expr & { kind: 'assign' }): Operand {
    const { flow } = this
    if (!expr.op) {
      const value = this.expr(expr.value)
      flow.at = expr.at
      this.store(expr.target, value, expr.value)
      return value
    }
    return this.compound(expr.target, expr.op, () => this.int(expr.value), expr)
  }

  protected update(expr: Expr & { kind: 'update' }): Operand {
    const before = expr.prefix ? undefined : this.expr(expr.target)
    const after = this.compound(expr.target, expr.op, () => this.flow.literal(1n), expr)
    return before ?? after
  }

  /** `target op= value`. On the value of a map, += and -= of 32 or 64 bits are atomic. */
  protected compound(target: Expr, op: BinaryOp, value: () => IntOperand, span: Span): Operand {
    const { flow } = this
    const place = this.placeOf(target)
    const integer = place && integerOf(place.type)
    if (place && integer) {
      const by = value()
      flow.at = span.at
      const size = sizeOf(place.type) as Size
      if (place.space === 'map' && (size === 4 || size === 8) && (op === '+' || op === '-')) {
        const amount = op === '-' ? flow.negate(by) : by
        flow.emit({ op: 'atomicAdd', size, offset: place.offset }, place.base, flow.convert(amount, integer).node)
        return { kind: 'void' }
      }
      const now = flow.loadInt(integer, place.base, place.offset)
      const result = flow.convert(flow.arithmetic(op, now, by, span), integer)
      flow.store(size, place.base, place.offset, result.node)
      return result
    }
    const before = this.int(target)
    const result = flow.arithmetic(op, before, value(), span)
    flow.at = span.at
    this.store(target, result, span)
    return this.expr(target)
  }

  protected store(target: Expr, value: Operand, span: Span): void {
    const { flow, report } = this
    if (target.kind === 'name') {
      const binding = this.local(target.name)
      if (binding?.kind === 'variable') {
        flow.write(binding.cell, value, span)
        return
      }
      if (binding) throw report.error(target, 'constant', `${target.name} is a constant`, `declare it with let`)
      this.name(target.name, target)
      throw report.error(target, 'constant', `${target.name} is a constant of this file`, 'keep what changes in a map')
    }
    const place = this.placeOf(target)
    if (place) {
      writePlace(flow, place.type, place.base, place.offset, value, span)
      return
    }
    if (target.kind === 'member') {
      throw report.error(
        target,
        'read-only',
        `${target.name} cannot be assigned to`,
        'give the object a type, so that it lies on the stack: const flow: Value<typeof Flow> = { … }',
      )
    }
    throw report.error(target, 'read-only', 'this cannot be assigned to')
  }
}
