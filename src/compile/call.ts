// Calls: functions of the file, functions of 'waggle', conversions, methods of maps and of the context.

import { Access } from './access.ts'
import { BUILTINS } from './builtin.ts'
import type { Block, Node } from './ir.ts'
import { U64 } from './ktype.ts'
import { METHODS } from './mapop.ts'
import { USER_GLOBALS } from './names.ts'
import { describe, type Operand } from './operand.ts'
import type { Expr, Func, Span } from './syntax.ts'

/** Raw tracepoints have at most this many arguments. */
const RAW_ARGS = 12

export abstract class Calls extends Access {
  /** Lowers a call of a function of the file: src/compile/lower.ts. */
  protected abstract callFunction(fn: Func, args: readonly Operand[], call: Span): Operand

  protected call(expr: Expr & { kind: 'call' }): Operand {
    const { report } = this
    const { callee } = expr
    if (callee.kind === 'member') return this.method(expr, callee)
    if (callee.kind !== 'name')
      throw report.error(
        callee,
        'call',
        'kernel code calls functions by their names',
        'move the function to the top level of the file',
      )
    const entity = this.entityOf(callee)
    if (entity?.kind === 'function') {
      return this.callFunction(
        entity.fn,
        expr.args.map((arg) => this.settled(this.expr(arg))),
        expr,
      )
    }
    if (entity?.kind === 'builtin') return this.builtin(entity.name, expr)
    if (entity?.kind === 'type' && entity.type.kind === 'int' && expr.args.length === 1) {
      return this.flow.convert(this.int(expr.args[0]), entity.type)
    }
    const help = USER_GLOBALS[callee.name]
    if (!entity && help)
      throw report.error(callee, 'unknown-name', `${callee.name}() does not exist in kernel code`, help)
    if (!entity && !this.local(callee.name)) throw this.unknownName(callee.name, callee)
    this.name(callee.name, callee)
    throw report.error(callee, 'call', `${callee.name} cannot be called in kernel code`)
  }

  private builtin(name: string, expr: Expr & { kind: 'call' }): Operand {
    const { flow, report } = this
    const lower = Object.hasOwn(BUILTINS, name) ? BUILTINS[name] : undefined
    if (!lower) {
      throw report.error(
        expr,
        'call',
        `${name}() cannot be called inside a program`,
        'declare it at the top level of the file: export const … = …',
      )
    }
    if (expr.args.length > 0) throw report.error(expr, 'arguments', `${name}() takes no arguments`)
    flow.at = expr.at
    return lower(flow)
  }

  protected nonNull(operand: Expr): Operand {
    if (
      operand.kind === 'call' &&
      operand.callee.kind === 'member' &&
      operand.callee.name === 'get' &&
      operand.callee.object.kind === 'name'
    ) {
      const entity = this.local(operand.callee.object.name) ? undefined : this.scope.lookup(operand.callee.object.name)
      if (entity?.kind === 'map' && entity.key && operand.args.length === 1) {
        return this.maps.unchecked(entity, [this.expr(operand.args[0])], operand)
      }
    }
    return this.settled(this.expr(operand))
  }

  protected method(expr: Expr & { kind: 'call' }, callee: Expr & { kind: 'member' }): Operand {
    const { flow, report } = this
    const entity = this.entityOf(callee.object)
    if (entity?.kind === 'map') {
      const args = expr.args.map((arg) => this.settled(this.expr(arg)))
      flow.at = expr.at
      return this.maps.call(entity, callee.name, args, expr)
    }
    if (callee.object.kind === 'name' && !entity && !this.local(callee.object.name))
      throw this.userGlobal(callee.object, callee.name)
    const object = this.expr(callee.object)
    flow.at = expr.at
    if (object.kind === 'context') return this.contextMethod(callee.name, expr)
    const isMap = Object.hasOwn(METHODS, callee.name)
    throw report.error(
      callee,
      'call',
      `${describe(object)} has no method ${callee.name}`,
      isMap ? 'maps are called by the name they are declared with' : undefined,
    )
  }

  protected contextMethod(name: string, expr: Expr & { kind: 'call' }): Operand {
    const { flow, report, packet } = this
    if (this.type === 'raw_tracepoint' && name === 'arg' && this.ctx) {
      const at = expr.args.length === 1 ? flow.constantOf(this.int(expr.args[0])) : undefined
      if (at === undefined || at < 0n || at >= RAW_ARGS)
        throw report.error(expr, 'arguments', `ctx.arg() takes a constant from 0 to ${RAW_ARGS - 1}`)
      return flow.int(flow.load(8, this.ctx, Number(at) * 8, true), U64)
    }
    if (packet && name === 'has') return this.boolean((yes, no) => this.has(expr, yes, no))
    const bits = { u8: 8, u16: 16, u32: 32, u64: 64 }[name] as 8 | 16 | 32 | 64 | undefined
    if (packet && bits) {
      if (expr.args.length !== 1) throw report.error(expr, 'arguments', `ctx.${name}() takes the offset in the packet`)
      const { base, constant } = this.offset(expr.args[0])
      flow.at = expr.at
      return packet.raw(bits, base, constant)
    }
    const operand = packet?.call(name, packet ? expr.args.map((arg) => this.expr(arg)) : [], expr)
    if (operand) return operand
    const help = packet
      ? 'it has has, u8, u16, u32, u64, ethernet, vlan, ipv4, ipv6, tcp and udp'
      : 'read its fields: ctx.name'
    throw report.error(expr, 'unknown-method', `the context has no method ${name}`, help)
  }

  protected has(expr: Expr & { kind: 'call' }, yes: Block, no: Block): void {
    if (expr.args.length !== 1) throw this.report.error(expr, 'arguments', 'ctx.has() takes a number of bytes')
    const { base, constant } = this.offset(expr.args[0])
    this.packet?.has(base, constant, yes, no)
  }

  /** An offset into the packet as a part that varies and a constant, so that has(x + 2) proves u16(x). */
  protected offset(expr: Expr): { base: Node | undefined; constant: number } {
    const { flow, report } = this
    let base: Node | undefined
    let constant: bigint
    if (expr.kind === 'binary' && expr.op === '+') {
      const [left, right] = [this.int(expr.left), this.int(expr.right)]
      const [a, b] = [flow.constantOf(left), flow.constantOf(right)]
      constant = (a ?? 0n) + (b ?? 0n)
      if (a === undefined && b === undefined) base = flow.bin('add', left.node, right.node)
      else base = a === undefined ? left.node : b === undefined ? right.node : undefined
    } else {
      const value = this.int(expr)
      const known = flow.constantOf(value)
      constant = known ?? 0n
      if (known === undefined) base = value.node
    }
    if (constant < 0n || constant > 0x7fffn)
      throw report.error(expr, 'index', 'an offset into a packet is between 0 and 32,767')
    return { base, constant: Number(constant) }
  }

  /** A condition as a value. */
  protected boolean(test: (yes: Block, no: Block) => void): Operand {
    const { flow } = this
    const [yes, no, after] = [flow.newBlock(), flow.newBlock(), flow.newBlock()]
    const variable = flow.builder.variable('condition')
    test(yes, no)
    flow.enter(yes)
    flow.set(variable, flow.const(1))
    flow.jump(after)
    flow.enter(no)
    flow.set(variable, flow.const(0))
    flow.jump(after)
    flow.enter(after)
    return { kind: 'bool', node: flow.get(variable) }
  }
}
