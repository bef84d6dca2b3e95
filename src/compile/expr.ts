// Expressions: names, fields, calls and operators become operands; conditions become branches directly,
// so that `a && b` and `if (x === undefined)` cost what they cost in C.

import { nearest } from '../diag/nearest.ts'
import type { Size } from '../isa/insn.ts'
import type { HelperName } from '../spec/helper.ts'
import type { Platform } from '../spec/platform.ts'
import type { TracepointFormat } from '../spec/tracepoint.ts'
import { Flow } from './flow.ts'
import type { Block, Node } from './ir.ts'
import { type IntType, integerOf, sizeOf, U32, U64 } from './ktype.ts'
import { type Losses, MapOps, METHODS } from './mapop.ts'
import { compareContents, readPlace, writePlace } from './memory.ts'
import { type Cell, describe, type IntOperand, type Operand, type RefOperand } from './operand.ts'
import { PacketOps, VIEWS } from './packet.ts'
import { readField } from './record.ts'
import type { Report } from './report.ts'
import type { Const, ProgramEntity, Scope } from './scope.ts'
import type { BinaryOp, Expr, Func, Span } from './syntax.ts'

/** The frozen map of config values. */
export const CONFIG_MAP = '.rodata'

export type Binding =
  | { readonly kind: 'const'; readonly operand: Operand }
  | { readonly kind: 'variable'; readonly cell: Cell }
  /** Its declaration was refused: uses are not reported again. */
  | { readonly kind: 'poison' }

/** Helpers that give a number: the kernel's helper, the type, and which bits of the result. */
const NUMBERS: Readonly<Record<string, { helper: HelperName; type: IntType; shift?: number }>> = {
  pid: { helper: 'get_current_pid_tgid', type: U32, shift: 32 },
  tid: { helper: 'get_current_pid_tgid', type: U32 },
  uid: { helper: 'get_current_uid_gid', type: U32 },
  gid: { helper: 'get_current_uid_gid', type: U32, shift: 32 },
  ktime: { helper: 'ktime_get_ns', type: U64 },
  cpu: { helper: 'get_smp_processor_id', type: U32 },
  random: { helper: 'get_prandom_u32', type: U32 },
}
/** TASK_COMM_LEN of the kernel. */
const COMM_BYTES = 16
/** Raw tracepoints have at most this many arguments. */
const RAW_ARGS = 12

export abstract class ExprLowering {
  readonly flow: Flow
  protected readonly scope: Scope
  protected readonly report: Report
  private readonly maps: MapOps
  private readonly format: TracepointFormat | undefined
  private readonly type: ProgramEntity['type']
  private names: Map<string, Binding>[] = []
  private ctx: Node | undefined
  private packet: PacketOps | undefined

  constructor(
    program: ProgramEntity,
    format: TracepointFormat | undefined,
    scope: Scope,
    report: Report,
    platform: Platform,
    losses: Losses,
  ) {
    this.flow = new Flow(program.name, report, platform)
    this.scope = scope
    this.report = report
    this.maps = new MapOps(this.flow, losses)
    this.format = format
    this.type = program.type
  }

  protected abstract callFunction(fn: Func, args: readonly Operand[], call: Span): Operand
  protected abstract unknownName(name: string, span: Span): Error

  protected enterProgram(): void {
    this.ctx = this.flow.emit({ op: 'ctx' })
    if (this.type === 'xdp') this.packet = new PacketOps(this.flow, this.ctx)
  }

  // ── names ──

  protected push(): void {
    this.names.push(new Map())
  }
  protected pop(): void {
    this.names.pop()
  }
  protected bind(name: string, binding: Binding): void {
    this.names[this.names.length - 1].set(name, binding)
  }
  /** A function sees its own names only. Gives back what `restore` wants. */
  protected isolate(): Map<string, Binding>[] {
    const outer = this.names
    this.names = [new Map()]
    return outer
  }
  protected restore(outer: Map<string, Binding>[]): void {
    this.names = outer
  }
  protected localNames(): string[] {
    return this.names.flatMap((names) => [...names.keys()])
  }
  private local(name: string): Binding | undefined {
    for (let i = this.names.length - 1; i >= 0; i--) {
      const binding = this.names[i].get(name)
      if (binding) return binding
    }
    return undefined
  }

  private name(name: string, span: Span): Operand {
    const binding = this.local(name)
    if (binding?.kind === 'const') return binding.operand
    if (binding?.kind === 'variable') return this.flow.read(binding.cell)
    if (binding) {
      // Already reported where it is declared: src/compile/findings.ts drops this one.
      throw this.report.error(span, 'cascade', `${name} has no value`)
    }
    const entity = this.scope.lookup(name)
    switch (entity?.kind) {
      case undefined:
        throw this.unknownName(name, span)
      case 'const':
        return this.constant(entity.value, span)
      case 'user': {
        const notes = entity.span
          ? [
              {
                message: `${name} is declared here`,
                at: this.report.location({ at: entity.span.at, end: entity.span.at + 1 }),
              },
            ]
          : []
        throw this.report.error(
          span,
          'capture',
          `${name} cannot be captured by kernel code: ${entity.why}`,
          entity.help,
          notes,
        )
      }
      case 'config':
        throw this.report.error(span, 'type', `${name} is a config: its value is ${name}.value`, `write ${name}.value`)
      case 'map':
        throw this.report.error(
          span,
          'type',
          `the map ${name} is no value`,
          `call one of its methods: ${name}.get(key)`,
        )
      default:
        throw this.report.error(
          span,
          'type',
          `${name} cannot be used as a value in kernel code`,
          entity?.kind === 'function' || entity?.kind === 'builtin' ? `call it: ${name}()` : undefined,
        )
    }
  }

  private constant(value: Const, span: Span): Operand {
    const { flow } = this
    if (typeof value === 'bigint') return flow.literal(value)
    if (typeof value === 'boolean') return { kind: 'bool', node: flow.const(value ? 1 : 0) }
    if (typeof value === 'string') return { kind: 'text', value }
    if (Array.isArray(value)) return { kind: 'list', items: value.map((item: Const) => this.constant(item, span)) }
    const fields = [...(value as ReadonlyMap<string, Const>)].map(
      ([key, item]) => [key, this.constant(item, span)] as const,
    )
    return { kind: 'object', fields: new Map(fields) }
  }

  // ── expressions ──

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

  /** An operand whose presence has been checked, as TypeScript demands before it is used. */
  private settled(operand: Operand): Operand {
    return operand.kind === 'option' ? this.flow.read(operand.of) : operand
  }

  private int(expr: Expr): IntOperand {
    return this.flow.toInt(this.expr(expr), expr)
  }

  private nonNull(operand: Expr): Operand {
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

  private entityOf(expr: Expr): ReturnType<Scope['lookup']> {
    return expr.kind === 'name' && !this.local(expr.name) ? this.scope.lookup(expr.name) : undefined
  }

  private member(expr: Expr & { kind: 'member' }): Operand {
    const { flow, report } = this
    const { object, name } = expr
    const entity = this.entityOf(object)
    if (entity?.kind === 'config') {
      if (name !== 'value')
        throw report.error(expr, 'unknown-field', `a config has a value and nothing else`, `write ${entity.name}.value`)
      const base = flow.emit({ op: 'mapValue', map: CONFIG_MAP, offset: entity.offset })
      return readPlace(flow, entity.type, base, 0, 'map', true)
    }
    if (entity?.kind === 'type' && entity.type.kind === 'enum') {
      const value = entity.type.members.get(name)
      if (value === undefined) throw this.noField(expr, entity.type.members.keys())
      return flow.convert(flow.literal(value), entity.type.base)
    }
    if (object.kind === 'name' && !entity && !this.local(object.name)) throw this.userGlobal(object, name)
    const operand = this.settled(this.expr(object))
    flow.at = expr.at
    if (operand.kind === 'context') return this.contextMember(expr)
    if (operand.kind === 'view') {
      const value = this.packet?.field(operand, name)
      if (!value) throw this.noField(expr, Object.keys(VIEWS[operand.view]))
      return value
    }
    if (operand.kind === 'object') {
      const value = operand.fields.get(name)
      if (value === undefined) throw this.noField(expr, operand.fields.keys())
      return value
    }
    if (operand.kind === 'list' && name === 'length') return flow.literal(BigInt(operand.items.length))
    if (operand.kind === 'ref' && operand.type.kind === 'array' && name === 'length')
      return flow.literal(BigInt(operand.type.length))
    if (operand.kind === 'ref' && operand.type.kind === 'struct') {
      const place = this.fieldOf(operand, expr)
      return readPlace(flow, place.type, place.base, place.offset, place.space)
    }
    throw report.error(expr, 'unknown-field', `${describe(operand)} has no field ${name}`)
  }

  private userGlobal(object: Expr & { kind: 'name' }, name: string): Error {
    const help =
      USER_GLOBALS[object.name] ?? 'kernel code may call what it imports from waggle and the functions of this file'
    return this.report.error(object, 'unknown-name', `${object.name}.${name} does not exist in kernel code`, help)
  }

  private fieldOf(ref: RefOperand, expr: Expr & { kind: 'member' }): RefOperand {
    if (ref.type.kind !== 'struct') throw this.noField(expr, [])
    const field = ref.type.fields.find(({ name }) => name === expr.name)
    if (!field)
      throw this.noField(
        expr,
        ref.type.fields.map(({ name }) => name),
      )
    return { ...ref, type: field.type, offset: ref.offset + field.offset }
  }

  private noField(expr: Expr & { kind: 'member' }, names: Iterable<string>): Error {
    const all = [...names]
    const near = nearest(expr.name, all)
    const help =
      near.length > 0 ? `did you mean ${near.join(' or ')}?` : all.length > 0 ? `it has ${all.join(', ')}` : undefined
    return this.report.error(expr, 'unknown-field', `there is no field ${expr.name} here`, help)
  }

  private contextMember(expr: Expr & { kind: 'member' }): Operand {
    const { flow, report } = this
    const found = this.packet?.member(expr.name)
    if (found) return found
    const field = this.format?.fields.find(({ name }) => name === expr.name)
    if (!field || !this.ctx) {
      throw this.noField(
        expr,
        this.format?.fields.map(({ name }) => name) ?? (this.packet ? ['length', 'ifindex', 'rxQueue'] : []),
      )
    }
    const operand = readField(flow, this.ctx, field)
    if (!operand)
      throw report.error(
        expr,
        'unsupported',
        `${field.name} is a ${field.type}, which kernel code cannot read yet`,
        'read a scalar or a string field',
      )
    return operand
  }

  private index(expr: Expr & { kind: 'index' }): Operand {
    const { flow, report } = this
    const object = this.settled(this.expr(expr.object))
    if (object.kind === 'list') {
      const at = flow.constantOf(this.int(expr.index))
      const item = at === undefined ? undefined : object.items[Number(at)]
      if (!item)
        throw report.error(
          expr.index,
          'index',
          `an index into a constant array is a constant from 0 to ${object.items.length - 1}`,
          'go over it with for … of',
        )
      return item
    }
    const place = this.element(object, expr)
    return readPlace(flow, place.type, place.base, place.offset, place.space)
  }

  private element(object: Operand, expr: Expr & { kind: 'index' }): RefOperand {
    const { flow, report } = this
    if (object.kind !== 'ref' || object.type.kind !== 'array') {
      throw report.error(expr.object, 'type', `${describe(object)} cannot be indexed`)
    }
    const { element, length } = object.type
    const at = this.int(expr.index)
    const constant = flow.constantOf(at)
    if (constant === undefined) {
      const scaled = flow.bin('mul', at.node, flow.const(sizeOf(element)))
      return {
        ...object,
        type: element,
        base: flow.bin('add', flow.plus(object.base, object.offset), scaled),
        offset: 0,
      }
    }
    if (constant < 0n || constant >= BigInt(length)) {
      throw report.error(expr.index, 'index', `index ${constant} is outside this array of ${length}`)
    }
    return { ...object, type: element, offset: object.offset + Number(constant) * sizeOf(element) }
  }

  private call(expr: Expr & { kind: 'call' }): Operand {
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
    const number = Object.hasOwn(NUMBERS, name) ? NUMBERS[name] : undefined
    if (!number && name !== 'comm') {
      throw report.error(
        expr,
        'call',
        `${name}() cannot be called inside a program`,
        'declare it at the top level of the file: export const … = …',
      )
    }
    if (expr.args.length > 0) throw report.error(expr, 'arguments', `${name}() takes no arguments`)
    flow.at = expr.at
    if (!number) {
      return {
        kind: 'fill',
        what: 'comm()',
        size: COMM_BYTES,
        write: (base, offset, size) => {
          flow.call('get_current_comm', flow.plus(base, offset), flow.const(Math.min(size, COMM_BYTES)))
        },
      }
    }
    const result = flow.call(number.helper)
    if (number.type.bits === 64) return flow.int(result, U64)
    const half = number.shift
      ? flow.bin('rsh', result, flow.const(number.shift))
      : flow.emit({ op: 'extend', from: 32, signed: false }, result)
    return flow.int(half, U32)
  }

  private method(expr: Expr & { kind: 'call' }, callee: Expr & { kind: 'member' }): Operand {
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

  private contextMethod(name: string, expr: Expr & { kind: 'call' }): Operand {
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

  private has(expr: Expr & { kind: 'call' }, yes: Block, no: Block): void {
    if (expr.args.length !== 1) throw this.report.error(expr, 'arguments', 'ctx.has() takes a number of bytes')
    const { base, constant } = this.offset(expr.args[0])
    this.packet?.has(base, constant, yes, no)
  }

  /** An offset into the packet as a part that varies and a constant, so that has(x + 2) proves u16(x). */
  private offset(expr: Expr): { base: Node | undefined; constant: number } {
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

  // ── operators ──

  private unary(expr: Expr & { kind: 'unary' }): Operand {
    const { flow } = this
    if (expr.op === '!') return this.boolean((yes, no) => this.condition(expr, yes, no))
    const operand = this.int(expr.operand)
    flow.at = expr.at
    if (expr.op === '-') return flow.negate(operand)
    return expr.op === '~' ? flow.invert(operand) : operand
  }

  private binary(expr: Expr & { kind: 'binary' }): Operand {
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

  /** A condition as a value. */
  private boolean(test: (yes: Block, no: Block) => void): Operand {
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

  private logical(expr: Expr & { kind: 'logical' }): Operand {
    return this.boolean((yes, no) => this.condition(expr, yes, no))
  }

  private conditional(expr: Expr & { kind: 'conditional' }): Operand {
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

  private coalesce(expr: Expr & { kind: 'logical' }): Operand {
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

  private truth(operand: Operand, yes: Block, no: Block, span: Span): void {
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

  // ── assignment ──

  private assign(expr: Expr & { kind: 'assign' }): Operand {
    const { flow } = this
    if (!expr.op) {
      const value = this.expr(expr.value)
      flow.at = expr.at
      this.store(expr.target, value, expr.value)
      return value
    }
    return this.compound(expr.target, expr.op, () => this.int(expr.value), expr)
  }

  private update(expr: Expr & { kind: 'update' }): Operand {
    const before = expr.prefix ? undefined : this.expr(expr.target)
    const after = this.compound(expr.target, expr.op, () => this.flow.literal(1n), expr)
    return before ?? after
  }

  /** `target op= value`. On the value of a map, += and -= of 32 or 64 bits are atomic. */
  private compound(target: Expr, op: BinaryOp, value: () => IntOperand, span: Span): Operand {
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

  /** The place in memory that an assignment goes to; undefined for a variable. */
  private placeOf(target: Expr): RefOperand | undefined {
    if (target.kind === 'member') {
      if (this.entityOf(target.object)) return undefined
      const object = this.settled(this.expr(target.object))
      if (object.kind === 'ref') return this.fieldOf(object, target)
      return undefined
    }
    if (target.kind === 'index') return this.element(this.settled(this.expr(target.object)), target)
    return undefined
  }

  private store(target: Expr, value: Operand, span: Span): void {
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

const COMPARISONS: ReadonlySet<string> = new Set(['===', '!==', '<', '<=', '>', '>='])

/** What people reach for first, and what to take instead. */
const USER_GLOBALS: Readonly<Record<string, string>> = {
  console: 'emit a record to a ring buffer and print it on the user side',
  Date: 'ktime() gives nanoseconds since boot',
  Math: 'write it out: a < b ? a : b is Math.min(a, b)',
  performance: 'ktime() gives nanoseconds since boot',
  process: 'pid(), uid() and comm() describe the running process',
  JSON: 'emit the fields as a record and format them on the user side',
  setTimeout: 'kernel code runs to its end at once; wait on the user side',
  setInterval: 'kernel code runs to its end at once; repeat on the user side',
  fetch: 'emit a record and make the request on the user side',
  Number: 'convert with u64(x) and its like',
  BigInt: 'write a plain number: integers have 64 bits here',
  Boolean: 'compare with 0: x !== 0',
  String: 'emit the value and format it on the user side',
  Promise: 'kernel code runs to its end at once; wait on the user side',
  require: 'import at the top of the file',
}
