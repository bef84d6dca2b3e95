// Operators, and conditions, which become branches directly, so that `a && b` and `if (x === undefined)` cost
// what they cost in C.

import { Calls } from './call.ts'
import type { Block } from './ir.ts'
import { compareContents } from './memory.ts'
import type { Operand } from './operand.ts'
import type { Expr, Span } from './syntax.ts'

const COMPARISONS: ReadonlySet<string> = new Set(['===', '!==', '<', '<=', '>', '>='])

export abstract class Operators extends Calls {
  protected unary(expr: Expr & { kind: 'unary' }): Operand {
    const { flow } = this
    if (expr.op === '!') return this.boolean((yes, no) => this.condition(expr, yes, no))
    const operand = this.int(expr.operand)
    flow.at = expr.at
    if (expr.op === '-') return flow.negate(operand)
    return expr.op === '~' ? flow.invert(operand) : operand
  }

  protected binary(expr: Expr & { kind: 'binary' }): Operand {
    if (COMPARISONS.has(expr.op)) return this.boolean((yes, no) => this.condition(expr, yes, no))
    const left = this.expr(expr.left)
    const right = this.expr(expr.right)
    if (expr.op === '+' && [left, right].some((operand) => operand.kind === 'text' || operand.kind === 'fill')) {
      throw this.report.error(
        expr,
        'unsupported',
        'strings cannot be joined in kernel code',
        'emit the parts as fields of a record and join them on the user side',
      )
    }
    const [a, b] = [this.flow.toInt(left, expr.left), this.flow.toInt(right, expr.right)]
    this.flow.at = expr.at
    return this.flow.arithmetic(expr.op, a, b, expr)
  }

  protected logical(expr: Expr & { kind: 'logical' }): Operand {
    return this.boolean((yes, no) => this.condition(expr, yes, no))
  }

  protected conditional(expr: Expr & { kind: 'conditional' }): Operand {
    const { flow } = this
    const [yes, no, after] = [flow.newBlock(), flow.newBlock(), flow.newBlock()]
    this.condition(expr.test, yes, no)
    const arm = (block: Block, side: Expr): { block: Block; operand: Operand; span: Span } => {
      flow.enter(block)
      const operand = this.expr(side)
      return { block: flow.builder.block, operand, span: side }
    }
    return flow.merge([arm(yes, expr.yes), arm(no, expr.no)], after, expr)
  }

  protected coalesce(expr: Expr & { kind: 'logical' }): Operand {
    const { flow } = this
    const left = this.expr(expr.left)
    if (left.kind !== 'option') return left
    const [yes, no, after] = [flow.newBlock(), flow.newBlock(), flow.newBlock()]
    flow.branch('ne', flow.get(left.present), flow.const(0), yes, no)
    flow.enter(yes)
    const there = { block: yes, operand: flow.read(left.of), span: expr.left }
    flow.enter(no)
    const operand = this.expr(expr.right)
    return flow.merge([there, { block: flow.builder.block, operand, span: expr.right }], after, expr)
  }

  /** Branches on the truth of an expression. */
  protected condition(expr: Expr, yes: Block, no: Block): void {
    const { flow } = this
    if (expr.kind === 'unary' && expr.op === '!') {
      this.condition(expr.operand, no, yes)
      return
    }
    if (expr.kind === 'logical' && expr.op !== '??') {
      const more = flow.newBlock()
      if (expr.op === '&&') this.condition(expr.left, more, no)
      else this.condition(expr.left, yes, more)
      flow.enter(more)
      this.condition(expr.right, yes, no)
      return
    }
    if (expr.kind === 'binary' && COMPARISONS.has(expr.op)) {
      const [left, right] = [this.expr(expr.left), this.expr(expr.right)]
      flow.at = expr.at
      if (expr.op === '===' || expr.op === '!==') this.equal(expr.op, left, right, yes, no, expr)
      else flow.compare(expr.op, flow.toInt(left, expr.left), flow.toInt(right, expr.right), yes, no, expr)
      return
    }
    if (
      expr.kind === 'call' &&
      expr.callee.kind === 'member' &&
      expr.callee.name === 'has' &&
      this.packet &&
      this.expr(expr.callee.object).kind === 'context'
    ) {
      flow.at = expr.at
      this.has(expr, yes, no)
      return
    }
    this.truth(this.expr(expr), yes, no, expr)
  }

  protected truth(operand: Operand, yes: Block, no: Block, span: Span): void {
    const { flow } = this
    switch (operand.kind) {
      case 'int':
      case 'bool':
        flow.branch('ne', operand.node, flow.const(0), yes, no)
        return
      case 'option': {
        const there = flow.newBlock()
        flow.branch('ne', flow.get(operand.present), flow.const(0), there, no)
        flow.enter(there)
        this.truth(flow.read(operand.of), yes, no, span)
        return
      }
      case 'undefined':
      case 'void':
        flow.jump(no)
        return
      case 'fill':
      case 'text':
        throw this.report.error(span, 'type', 'a string is no condition', "compare it: name !== ''")
      default:
        flow.jump(yes)
    }
  }

  protected equal(op: '===' | '!==', left: Operand, right: Operand, yes: Block, no: Block, span: Span): void {
    const { flow } = this
    const [same, different] = op === '===' ? [yes, no] : [no, yes]
    if (left.kind === 'undefined' || right.kind === 'undefined') {
      const other = left.kind === 'undefined' ? right : left
      if (other.kind === 'option') flow.branch('eq', flow.get(other.present), flow.const(0), same, different)
      else flow.jump(other.kind === 'undefined' ? same : different)
      return
    }
    const a = this.settled(left)
    const b = this.settled(right)
    const scalar = (operand: Operand): boolean => operand.kind === 'int' || operand.kind === 'bool'
    if (scalar(a) && scalar(b)) flow.compare('===', flow.toInt(a, span), flow.toInt(b, span), same, different, span)
    else compareContents(flow, a, b, same, different, span)
  }
}
